/* A plugin of qemu that counts how often each translated block of a program runs.
 *
 *   cc -shared -fPIC -O2 -DVERSION=1 count_blocks.c -o count_blocks.so
 *   qemu-aarch64 -plugin ./count_blocks.so,out=counts.txt PROGRAM
 *
 * Writes a line "address instructions times" for each block that ran (address in hexadecimal).
 * VERSION is that of the plugin interface, of which only what all have is used here; declared by
 * hand, as Debian has the emulator without its header (qemu-plugin.h).
 */
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef uint64_t plugin_id;
struct plugin_info;
struct block;
enum { NO_REGISTERS = 0 };

void qemu_plugin_register_vcpu_tb_trans_cb(plugin_id, void (*)(plugin_id, struct block *));
void qemu_plugin_register_vcpu_tb_exec_cb(struct block *, void (*)(unsigned, void *), int flags,
                                          void *context);
void qemu_plugin_register_atexit_cb(plugin_id, void (*)(plugin_id, void *), void *context);
size_t qemu_plugin_tb_n_insns(const struct block *);
uint64_t qemu_plugin_tb_vaddr(const struct block *);

__attribute__((visibility("default"))) int qemu_plugin_version = VERSION;

struct count {
  uint64_t address, instructions, times;
  struct count *next;
};
static struct count *counts;
static FILE *out;

static void on_run(unsigned cpu, void *context) {
  (void)cpu;
  ++((struct count *)context)->times;
}

/* A block is translated again where the emulator has thrown its code away. */
static void on_translation(plugin_id id, struct block *block) {
  (void)id;
  struct count *count = malloc(sizeof *count);
  if (count == NULL) abort();
  count->address = qemu_plugin_tb_vaddr(block);
  count->instructions = qemu_plugin_tb_n_insns(block);
  count->times = 0;
  count->next = counts;
  counts = count;
  qemu_plugin_register_vcpu_tb_exec_cb(block, on_run, NO_REGISTERS, count);
}

static void at_exit(plugin_id id, void *context) {
  (void)id;
  (void)context;
  for (const struct count *count = counts; count != NULL; count = count->next) {
    if (count->times == 0) continue;
    fprintf(out, "%llx %llu %llu\n", (unsigned long long)count->address,
            (unsigned long long)count->instructions, (unsigned long long)count->times);
  }
  fclose(out);
}

__attribute__((visibility("default"))) int qemu_plugin_install(plugin_id id,
                                                               const struct plugin_info *info,
                                                               int argc, char **argv) {
  (void)info;
  if (argc != 1 || strncmp(argv[0], "out=", 4) != 0) return 1;
  out = fopen(argv[0] + 4, "w");
  if (out == NULL) return 1;
  qemu_plugin_register_vcpu_tb_trans_cb(id, on_translation);
  qemu_plugin_register_atexit_cb(id, at_exit, NULL);
  return 0;
}

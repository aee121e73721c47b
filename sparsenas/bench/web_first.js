// How long a visitor waits for the first result of the page, from when it begins to load.
export async function run() {
  const frame = document.createElement("iframe");
  frame.src = "index.html";
  document.body.append(frame);
  for (;;) {
    const found = frame.contentDocument?.documentElement?.dataset;
    if (found?.failed) throw new Error("the page failed");
    if (found?.firstMs) return found.firstMs;
    await new Promise((later) => setTimeout(later, 5));
  }
}

"use strict";
// A cursor for the chart: the nearest mark's architecture, by pointer, touch or arrow keys.
const found = JSON.parse(document.getElementById("data").textContent);

for (const plot of document.querySelectorAll(".plot")) {
  const svg = plot.querySelector("svg");
  const cursor = svg.querySelector(".cursor");
  const tip = plot.querySelector(".tip");
  const [width, x0, x1, left, right, y0, y1, bottom, top] = svg.dataset.frame.split(" ").map(Number);
  const marks = found.marks.map(([title, ms, accuracy, options, radius]) => ({
    title, ms, accuracy, options, radius,
    x: left + (ms - x0) / (x1 - x0) * (right - left),
    y: bottom + (accuracy - y0) / (y1 - y0) * (top - bottom),
  })).filter(mark => mark.accuracy >= y0);
  const order = [...marks.keys()].sort((a, b) => marks[a].x - marks[b].x);
  let at = -1;

  const element = (name, text) => Object.assign(document.createElement(name), { textContent: text });

  function show(index) {
    at = index;
    const mark = marks[index];
    tip.replaceChildren(
      element("b", mark.title),
      element("p", `${(100 * mark.accuracy).toFixed(1)}% accuracy, ${+(mark.ms * found.perMs).toPrecision(4)} ${found.unit}`));
    const list = document.createElement("dl");
    mark.options.forEach((option, i) => {
      if (option >= 0) list.append(element("dt", found.choices[i][0]), element("dd", found.choices[i][1][option]));
    });
    tip.append(list);
    cursor.setAttribute("cx", mark.x);
    cursor.setAttribute("cy", mark.y);
    cursor.setAttribute("r", mark.radius);
    const box = svg.getBoundingClientRect(), scale = box.width / width;
    const x = mark.x * scale, y = mark.y * scale;
    const beside = x + 18 + tip.offsetWidth < box.width ? x + 18 : x - 18 - tip.offsetWidth;
    tip.style.left = `${Math.max(0, Math.min(beside, box.width - tip.offsetWidth))}px`;
    // Beside the mark where there is room, else below it, so that the mark stays in sight.
    tip.style.top = beside < 0 ? `${y + 18}px` : `${Math.max(0, y - tip.offsetHeight / 2)}px`;
    tip.style.visibility = cursor.style.visibility = "visible";
  }

  function hide() {
    at = -1;
    tip.style.visibility = cursor.style.visibility = "hidden";
  }

  function point(event) {
    const box = svg.getBoundingClientRect(), scale = box.width / width;
    const x = (event.clientX - box.left) / scale, y = (event.clientY - box.top) / scale;
    let nearest = -1, least = 28 * 28;
    marks.forEach((mark, i) => {
      // A larger mark lies on top, and is meant where it is touched.
      const distance = (mark.x - x) ** 2 + (mark.y - y) ** 2 - mark.radius ** 2;
      if (distance < least) [nearest, least] = [i, distance];
    });
    if (nearest < 0) hide(); else if (nearest !== at) show(nearest);
  }

  svg.addEventListener("pointermove", point);
  svg.addEventListener("pointerdown", point);
  svg.addEventListener("pointerleave", hide);
  svg.addEventListener("blur", hide);
  svg.addEventListener("keydown", event => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (event.key === "Escape") hide();
    if (!step || !order.length) return;
    event.preventDefault();
    const place = order.indexOf(at);
    show(order[place < 0 ? 0 : (place + step + order.length) % order.length]);
  });
}

for (const command of document.querySelectorAll(".command")) {
  // Browsers offer the clipboard to pages from disk or https only; elsewhere there is no button.
  if (!navigator.clipboard) break;
  const button = Object.assign(document.createElement("button"), { type: "button", textContent: "Copy" });
  button.addEventListener("click", async () => {
    await navigator.clipboard.writeText(command.querySelector("pre").textContent);
    button.textContent = "Copied";
    setTimeout(() => { button.textContent = "Copy"; }, 1500);
  });
  command.append(button);
}

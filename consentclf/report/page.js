"use strict";
(() => {
  const data = JSON.parse(document.getElementById("data").textContent);
  const labels = data.labels;
  const $ = (id) => document.getElementById(id);
  const make = (tag, className, text) => {
    const node = document.createElement(tag);
    if (className) node.className = className;
    if (text !== undefined) node.textContent = text;
    return node;
  };
  const svg = (tag, attributes) => {
    const node = document.createElementNS("http://www.w3.org/2000/svg", tag);
    for (const [name, value] of Object.entries(attributes)) node.setAttribute(name, value);
    return node;
  };
  const number = (n) => n.toLocaleString("en");
  const signed = (w) => (w < 0 ? "−" : "+") + Math.abs(w).toFixed(2);

  const items = [...document.querySelectorAll("li.p")].map((node) => {
    const source = data.documents[+node.dataset.d].paragraphs[+node.dataset.i];
    return {
      node, source, document: +node.dataset.d,
      text: node.querySelector(".text"), name: node.querySelector(".name"), score: node.querySelector(".score"),
      label: 0, size: [...source.text].length,
    };
  });

  // -- what is kept: the rule of Classifier.with_mode, said once more in this language --------------------

  const floors = [...data.floors];
  const touched = { drop: false, keep: false };
  const largest = (scores, from) => {
    let best = from;
    for (let k = from + 1; k < scores.length; k++) if (scores[k] > scores[best]) best = k;
    return best;
  };
  const decide = (scores) => {
    const raw = largest(scores, 0);
    if (scores[raw] >= floors[raw]) return raw;
    return raw === 0 ? largest(scores, 1) : 0;
  };

  const shown = () => new Set([...document.querySelectorAll("input.filter:checked")].map((box) => box.value));

  function gather() {
    // As Classifier.clean: between two kept paragraphs the widest of the gaps stays.
    const out = [];
    const lines = (gap) => (gap.match(/\n/g) || []).length;
    let last = -1, gap = "";
    for (const item of items) {
      if (item.document !== last) gap = out.length ? "\n\n" : "";
      else if (lines(item.source.gap) > lines(gap) ||
               (lines(item.source.gap) === lines(gap) && item.source.gap.length > gap.length)) gap = item.source.gap;
      last = item.document;
      if (item.label === 0) {
        out.push(out.length ? gap : "", item.source.text);
        gap = "";
      }
    }
    return out.join("");
  }

  function update() {
    const visible = shown();
    const counts = labels.map(() => 0), sizes = labels.map(() => 0);
    for (const item of items) {
      const { scores } = item.source;
      item.label = decide(scores);
      const label = labels[item.label];
      counts[item.label]++;
      sizes[item.label] += item.size;
      item.node.className = "p " + label + (item.label === 0 ? "" : " gone") + (item === current ? " current" : "");
      item.name.textContent = label;
      item.score.textContent = scores[item.label].toFixed(2);
      item.node.hidden = !visible.has(label);
    }
    const total = sizes.reduce((a, b) => a + b, 0);
    $("lead").textContent =
      `Kept ${number(counts[0])} of ${number(items.length)} paragraphs, ` +
      `${number(sizes[0])} of ${number(total)} characters.`;
    for (const node of document.querySelectorAll(".count"))
      node.textContent = number(counts[labels.indexOf(node.dataset.label)]);
    const bar = $("bar"), legend = $("legend");
    bar.replaceChildren();
    legend.replaceChildren();
    let x = 0;
    for (const box of document.querySelectorAll("input.filter")) {
      const k = labels.indexOf(box.value);
      const width = total ? (1000 * sizes[k]) / total : 0;
      bar.append(svg("rect", { x, y: 0, width, height: 24, class: box.value }));
      x += width;
      const entry = make("li", box.value);
      entry.append(make("span", "dot"), `${box.value} ${number(sizes[k])} characters`);
      legend.append(entry);
    }
    $("drop-value").textContent = (+$("drop").value).toFixed(2);
    $("keep-value").textContent = (+$("keep").value).toFixed(2);
    $("kept").value = gather();
    const command = ["consentclf", "predict", "FILE", "--format", "text"];
    if (data.mode !== "balanced") command.push("--mode", data.mode);
    if (touched.drop) command.push("--threshold", (+$("drop").value).toFixed(2));
    if (touched.keep) command.push("--threshold", "article=" + (+$("keep").value).toFixed(2));
    $("command").textContent = command.join(" ");
    if (current && current.node.hidden) leave();
    roam();
  }

  // -- reasons ----------------------------------------------------------------------------------------------

  let current = null, pinned = false;
  const why = $("why");
  const parts = {
    "other words": "other words", "shape": "length, punctuation, capitals, links",
    "start": "what the model starts from", "second look": "second look at its own scores",
    "page": "the page around it",
  };

  function paint(item) {
    const spans = item.source.why ? item.source.why.spans : [];
    const strongest = Math.max(0, ...spans.map((s) => Math.max(...s.slice(2))));
    // Offsets count code points, as Python does; strings here count UTF-16 units.
    const points = [...item.source.text];
    const nodes = [];
    let at = 0;
    for (const [start, end, ...weights] of spans) {
      const towards = largest(weights, 0), share = weights[towards] / strongest;
      nodes.push(points.slice(at, start).join(""));
      const word = points.slice(start, end).join("");
      if (share >= 0.2) nodes.push(make("mark", labels[towards] + (share > 0.6 ? " s3" : share > 0.4 ? " s2" : ""), word));
      else nodes.push(word);
      at = end;
    }
    nodes.push(points.slice(at).join(""));
    item.text.replaceChildren(...nodes);
  }

  function rows(table, pairs) {
    for (const [name, weight, label, kind] of pairs) {
      const row = table.insertRow();
      if (kind) row.className = kind;
      const cell = row.insertCell();
      cell.append(label ? make("span", "word " + label, name) : name);
      row.insertCell().textContent = signed(weight);
    }
  }

  function tell(item) {
    const { scores, why: reason } = item.source;
    const k = item.label, label = labels[k];
    const raw = largest(scores, 0);
    why.replaceChildren();
    why.className = "open " + label;
    const close = make("button", "close", "Close");
    close.type = "button";
    close.addEventListener("click", leave);
    why.append(close, make("h3", "", `Why ${label}?`));
    if (raw !== k) why.append(make("p", "note", `Most probable is ${labels[raw]}, but it scores below what you ask.`));
    const chart = make("div", "scores");
    for (const box of document.querySelectorAll("input.filter")) {
      const score = scores[labels.indexOf(box.value)];
      const bar = svg("svg", { viewBox: "0 0 100 8", preserveAspectRatio: "none", "aria-hidden": "true" });
      bar.append(svg("rect", { width: 100 * score, height: 8, class: box.value }));
      chart.append(make("span", "", box.value), bar, make("span", "score", score.toFixed(2)));
    }
    why.append(chart);
    if (!reason) return;
    const points = [...item.source.text];
    const words = reason.spans.map(([start, end, ...weights]) => ({
      text: points.slice(start, end).join(""), weight: weights[k], towards: labels[largest(weights, 0)],
    }));
    const pros = words.filter((w) => w.weight > 0.005).sort((a, b) => b.weight - a.weight).slice(0, 7);
    const cons = words.filter((w) => w.weight < -0.005).sort((a, b) => a.weight - b.weight).slice(0, 5);
    for (const [title, list] of [[`Words for ${label}`, pros], ["Words against", cons]]) {
      if (!list.length) continue;
      const table = make("table");
      rows(table, list.map((w) => [w.text, w.weight, w.towards]));
      why.append(make("h4", "", title), table);
    }
    const table = make("table");
    const sum = words.reduce((total, w) => total + w.weight, 0);
    rows(table, [["all words", sum + reason.parts["other words"][k]]]);
    for (const [key, name] of Object.entries(parts))
      if (key !== "other words" && Math.abs(reason.parts[key][k]) >= 0.005) rows(table, [[name, reason.parts[key][k]]]);
    rows(table, [["logit", reason.logits[k], null, "sum"]]);
    why.append(make("h4", "", "The whole sum"), table);
  }

  function enter(item) {
    if (current && current !== item) restore(current);
    current = item;
    item.node.classList.add("current");
    paint(item);
    tell(item);
  }

  function restore(item) {
    item.node.classList.remove("current");
    item.text.textContent = item.source.text;
  }

  function leave() {
    if (current) restore(current);
    current = null;
    pinned = false;
    why.className = "";
    why.replaceChildren(make("p", "note", "Point at a paragraph, or go there with the arrow keys, to see why it got its label."));
    roam();
  }

  function roam() {
    // One stop for the Tab key: the paragraph last visited, or the first that is shown.
    const stop = current || items.find((item) => !item.node.hidden);
    for (const item of items) item.node.tabIndex = item === stop ? 0 : -1;
  }

  function move(step) {
    const there = items.filter((item) => !item.node.hidden);
    if (!there.length) return;
    let at = there.indexOf(current);
    at = step === "first" ? 0 : step === "last" ? there.length - 1
      : at < 0 ? 0 : Math.min(there.length - 1, Math.max(0, at + step));
    there[at].node.focus();
  }

  const touch = matchMedia("(hover: none), (max-width: 60rem)");
  for (const item of items) {
    item.node.addEventListener("mouseenter", () => { if (!pinned && !touch.matches) enter(item); });
    item.node.addEventListener("focus", () => { enter(item); roam(); });
    item.node.addEventListener("click", () => {
      if (getSelection().isCollapsed) { pinned = true; enter(item); roam(); }
    });
  }
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.key === "Escape") return leave();
    if (event.target.closest("input, textarea, button, summary")) return;
    const steps = { ArrowDown: 1, j: 1, ArrowUp: -1, k: -1, Home: "first", End: "last" };
    if (event.key in steps && (event.target.closest("li.p") || event.key === "j" || event.key === "k")) {
      event.preventDefault();
      pinned = false;
      move(steps[event.key]);
    } else if (event.key === "Enter" && current) pinned = !pinned;
  });

  // -- controls ---------------------------------------------------------------------------------------------

  function slide(id, columns) {
    $(id).addEventListener("input", () => {
      touched[id] = true;
      for (const k of columns) floors[k] = +$(id).value;
      update();
      if (current) tell(current);
    });
  }
  const dropped = labels.map((_, k) => k).slice(1);
  slide("drop", dropped);
  slide("keep", [0]);
  for (const box of document.querySelectorAll("input.filter")) box.addEventListener("change", update);
  function reset() {
    floors.splice(0, floors.length, ...data.floors);
    touched.drop = touched.keep = false;
    $("drop").value = Math.min(...dropped.map((k) => floors[k]));
    $("keep").value = floors[0];
    for (const box of document.querySelectorAll("input.filter")) box.checked = true;
    update();
  }
  $("reset").addEventListener("click", reset);
  $("copy").addEventListener("click", async () => {
    let done = false;
    try {
      await navigator.clipboard.writeText($("kept").value);
      done = true;
    } catch {
      $("kept").select();
      done = document.execCommand("copy");
    }
    $("copied").textContent = done ? "Copied." : "Select the text and copy it by hand.";
  });
  reset();
  leave();
})();

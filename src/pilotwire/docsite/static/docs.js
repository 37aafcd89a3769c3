// Search in the guides: every word must occur; words in headings count more. The index is a script beside this one.
(() => {
  const index = (window.PILOTWIRE_INDEX || []).map((row) => ({ row, head: `${row[1]} ${row[2]}`.toLowerCase(), text: row[3].toLowerCase() }));
  const field = document.getElementById("q"), list = document.getElementById("found"), form = document.getElementById("search");
  let chosen = -1;

  function find(words) {
    return index.map((one) => {
      let points = 0;
      for (const word of words) {
        if (one.head.includes(word)) points += 10;
        else if (one.text.includes(word)) points += 1;
        else return null;
      }
      return [points, one.row];
    }).filter(Boolean).sort((a, b) => b[0] - a[0]).slice(0, 12).map((pair) => pair[1]);
  }

  function around(text, words) {
    const at = Math.max(0, Math.min(...words.map((word) => text.toLowerCase().indexOf(word)).filter((n) => n >= 0).concat(0)) - 30);
    return (at ? "…" : "") + text.slice(at, at + 130) + (text.length > at + 130 ? "…" : "");
  }

  function show() {
    const words = field.value.toLowerCase().split(/\s+/).filter(Boolean);
    list.replaceChildren();
    chosen = -1;
    list.hidden = !words.length;
    field.setAttribute("aria-expanded", String(!list.hidden));
    if (!words.length) return;
    const found = find(words);
    if (!found.length) {
      const none = document.createElement("li");
      none.setAttribute("role", "option");
      none.append(Object.assign(document.createElement("p"), { textContent: "Nothing has all of these words." }));
      list.append(none);
    }
    for (const [address, page, heading, text] of found) {
      const item = document.createElement("li"), link = document.createElement("a");
      item.setAttribute("role", "option");
      link.href = address;
      link.tabIndex = -1;
      link.append(Object.assign(document.createElement("b"), { textContent: heading }), Object.assign(document.createElement("small"), { textContent: `${page}: ${around(text, words)}` }));
      item.append(link);
      list.append(item);
    }
  }

  function choose(step) {
    const items = [...list.querySelectorAll("li")];
    if (!items.length) return;
    items[chosen]?.removeAttribute("aria-selected");
    chosen = (chosen + step + items.length) % items.length;
    items[chosen].setAttribute("aria-selected", "true");
    items[chosen].scrollIntoView({ block: "nearest" });
  }

  field.addEventListener("input", show);
  field.addEventListener("keydown", (event) => {
    if (event.key === "ArrowDown" || event.key === "ArrowUp") { event.preventDefault(); choose(event.key === "ArrowDown" ? 1 : -1); }
    if (event.key === "Escape") { field.value = ""; show(); }
  });
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const link = list.querySelectorAll("li")[Math.max(0, chosen)]?.querySelector("a");
    if (link) { location.href = link.href; field.value = ""; show(); }
  });
  document.addEventListener("click", (event) => { if (!form.contains(event.target)) list.hidden = true; });
  document.addEventListener("keydown", (event) => {
    if (event.key === "/" && !/^(INPUT|TEXTAREA|SELECT)$/.test(document.activeElement.tagName)) { event.preventDefault(); field.focus(); }
  });
})();

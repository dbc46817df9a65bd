"use strict";
// Small comforts; every page works without them.
document.addEventListener("keydown", (event) => {
  const target = event.target;
  const isTyping = target instanceof HTMLElement &&
    (target.isContentEditable || /^(INPUT|SELECT|TEXTAREA)$/.test(target.tagName));
  if (event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey && !event.altKey) {
    const field = document.getElementById("q") || document.getElementById("find");
    if (field) {
      event.preventDefault();
      field.focus();
    }
  }
});

// Copy buttons.
for (const button of document.querySelectorAll("button.copy")) {
  if (!navigator.clipboard) break; // only where the connection is trusted
  button.hidden = false;
  button.addEventListener("click", async () => {
    const label = button.textContent;
    try {
      await navigator.clipboard.writeText(button.dataset.copy);
      button.textContent = "copied";
    } catch {
      button.textContent = "not allowed";
    }
    setTimeout(() => { button.textContent = label; }, 1500);
  });
}

// A drawing wider than the window begins where this record stands, and can be made to fit.
for (const canvas of document.querySelectorAll(".canvas")) {
  const show = () => {
    if (canvas.dataset.start === "end") canvas.scrollLeft = canvas.scrollWidth;
  };
  show();
  const button = document.querySelector("button.fit");
  if (!button || canvas.scrollWidth <= canvas.clientWidth) continue;
  button.hidden = false;
  button.addEventListener("click", () => {
    const isWhole = canvas.classList.toggle("whole");
    button.setAttribute("aria-pressed", String(isWhole));
    show();
  });
}

// The arrows of a box stand out while it is pointed at or has the focus.
for (const svg of document.querySelectorAll("svg.lg")) {
  const mark = (event, isOn) => {
    const box = event.target.closest(".lg-box");
    if (!box) return;
    const id = box.id.replace(/^box-/, "");
    for (const arrow of svg.querySelectorAll(".lg-link")) {
      const isOf = arrow.dataset.source === id || arrow.dataset.target === id;
      arrow.classList.toggle("lg-lit", isOn && isOf);
    }
  };
  for (const name of ["pointerover", "focusin"]) svg.addEventListener(name, (e) => mark(e, true));
  for (const name of ["pointerout", "focusout"]) svg.addEventListener(name, (e) => mark(e, false));
}

// Replaces the page's content when the stored state changes. Without this script the page reloads itself each minute.
(() => {
  const main = () => document.querySelector("main");
  const links = (of) => [...main().querySelectorAll("a")].filter((link) => link.href === of.href);
  let waiting = false;
  let requests = 0;
  // The state that the page shows, as the events name it.
  let shown = main().dataset.state;
  // What is no longer renewed must not pass for the present.
  let renewed = Date.now();
  function tellAge() {
    if (!shown || Date.now() - renewed < 60000) return;
    const age = document.querySelector(".top .age");
    age.classList.add("bad");
    age.textContent = `not updated since ${new Date(renewed).toISOString().slice(11, 16)} UTC`;
  }

  // A person who types, selects or is elsewhere must not be interrupted.
  function isInUse() {
    return document.hidden || document.activeElement?.matches("input, select") || String(getSelection()) !== "";
  }

  function replace(page) {
    const focused = document.activeElement;
    const position = focused.matches("main a") ? links(focused).indexOf(focused) : -1;
    const scrolled = [...main().querySelectorAll(".table")].map((table) => table.scrollLeft);
    // What a person has put into the form stays.
    const form = main().querySelector("form");
    if (form) page.querySelector("main form")?.replaceWith(form);
    main().replaceChildren(...page.querySelector("main").childNodes);
    document.querySelector(".top .age").replaceWith(page.querySelector(".top .age"));
    document.title = page.title;
    main().querySelectorAll(".table").forEach((table, index) => { table.scrollLeft = scrolled[index] ?? 0; });
    const again = position < 0 ? focused : links(focused)[position] ?? links(focused)[0];
    if (again !== document.activeElement) again?.focus({ preventScroll: true });
  }

  async function renew(state = shown) {
    waiting = isInUse();
    if (waiting) return;
    requests += 1;
    const request = requests;
    try {
      const answer = await fetch(location.href, { cache: "no-cache" });
      // The session has ended: that page says how to open another.
      if (answer.status === 401) location.reload();
      if (!answer.ok) return;
      const page = new DOMParser().parseFromString(await answer.text(), "text/html");
      waiting = isInUse();
      // An older answer must not replace a newer one.
      if (waiting || request !== requests) return;
      replace(page);
      renewed = Date.now();
      shown = page.querySelector("main").dataset.state ?? state;
    } catch {
      // The next event, or the next half minute, tries again.
      waiting = true;
    }
  }

  const source = new EventSource("/events");
  source.addEventListener("message", ({ data }) => { if (waiting || data !== shown) renew(data); });
  source.addEventListener("error", () => { waiting = true; });
  document.addEventListener("visibilitychange", () => { if (waiting) renew(); });
  document.addEventListener("focusout", () => setTimeout(() => { if (waiting) renew(); }, 0));
  // Ages grow even if nothing changes.
  setInterval(() => { tellAge(); renew(); }, 30000);
})();

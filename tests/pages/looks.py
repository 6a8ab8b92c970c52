"""How a page looks, asked of the browser."""

# Of every visible text against what is painted behind it, as WCAG 2.2 reckons it.
FAINT = """() => {
  const probe = document.createElement("canvas").getContext("2d", { willReadFrequently: true });
  const rgba = (colour) => {
    probe.clearRect(0, 0, 1, 1);
    probe.fillStyle = colour;
    probe.fillRect(0, 0, 1, 1);
    const [r, g, b, a] = probe.getImageData(0, 0, 1, 1).data;
    return [r, g, b, a / 255];
  };
  const behind = (at) => {
    for (; at; at = at.parentElement) {
      const colour = rgba(getComputedStyle(at).backgroundColor);
      if (colour[3] > 0.99) return colour;
    }
    return [255, 255, 255, 1];
  };
  const light = ([r, g, b]) => [r, g, b].map((part) => part / 255)
    .map((part) => part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4)
    .reduce((sum, part, at) => sum + part * [0.2126, 0.7152, 0.0722][at], 0);
  const faint = [];
  const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (texts.nextNode()) {
    const at = texts.currentNode.parentElement;
    if (!texts.currentNode.data.trim() || !at.checkVisibility() || at.closest(".unseen, option"))
      continue;
    const [one, other] = [light(rgba(getComputedStyle(at).color)), light(behind(at))];
    const ratio = (Math.max(one, other) + 0.05) / (Math.min(one, other) + 0.05);
    if (ratio < 4.5) faint.push(`${ratio.toFixed(2)} ${texts.currentNode.data.trim()}`);
  }
  return faint;
}"""

# Fields, buttons, links and parts of the page that nothing says the name of.
NAMELESS = """() => [...document.querySelectorAll(
    "input:not([type=hidden]), select, button, a, nav, section, fieldset")]
  .filter((at) => !(at.labels?.length || at.ariaLabel || at.textContent.trim()
    || at.getAttribute("aria-labelledby")))
  .map((at) => at.outerHTML)"""

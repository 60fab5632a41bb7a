/** Adds a style sheet to the widget. A strict CSP leaves no other way open. */
export function wear(root: ShadowRoot, css: string): void {
  const sheet = new CSSStyleSheet();
  sheet.replaceSync(css);
  root.adoptedStyleSheets.push(sheet);
}

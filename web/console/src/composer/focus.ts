/** Puts the cursor into the composer that is on the page, once it has been drawn in its new mode. */
export function focusComposer(): void {
  requestAnimationFrame(() => {
    const field = document.querySelector<HTMLTextAreaElement>("[data-composer] textarea");
    field?.focus();
    field?.setSelectionRange(field.value.length, field.value.length);
  });
}

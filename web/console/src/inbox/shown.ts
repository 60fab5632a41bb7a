/** The rows that the list shows now, in order; whoever closes a conversation asks here for the next one. */
export const shownIds = (() => {
  let ids: readonly string[] = [];
  return {
    get: () => ids,
    set: (next: readonly string[]) => {
      ids = next;
    },
  };
})();

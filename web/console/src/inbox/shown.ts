/** The rows that the list shows now, in order; whoever closes a conversation asks here for the next one. */
export const shownIds = slot<readonly string[]>([]);

/** The conversation that was open last; coming back to the list on a phone, the focus lands on its row. */
export const lastOpen = slot<string | null>(null);

function slot<T>(first: T) {
  let value = first;
  return {
    get: () => value,
    set: (next: T) => {
      value = next;
    },
  };
}

/** What a tab needs from its browser, in one object, so that tests can play several tabs at once. */
export interface Browser {
  readonly WebSocket: new (url: string, protocol: string) => WebSocket;
  readonly fetch: typeof fetch;
  readonly random: () => number;
  /** Absent outside secure contexts. */
  readonly locks?: Pick<LockManager, "request">;
  readonly openChannel?: (name: string) => Channel;
  readonly storage: (kind: "tab" | "device") => Storage | undefined;
  readonly hidden: () => boolean;
  /** The network or the person may be back: `online`, `visibilitychange` to visible, `pageshow`. */
  readonly onWake: (listener: () => void) => () => void;
  /** The machine lost its network, or at least one of them. */
  readonly onOffline: (listener: () => void) => () => void;
  /** The page goes away (`false`, maybe into the back/forward cache) or comes back from there (`true`). */
  readonly onPage: (listener: (shown: boolean) => void) => () => void;
}

export type Channel = Pick<BroadcastChannel, "postMessage" | "close"> & { onmessage: ((event: MessageEvent) => void) | null };

function listen(target: EventTarget | undefined, names: readonly string[], listener: (event: Event) => void): () => void {
  for (const name of names) target?.addEventListener?.(name, listener);
  return () => {
    for (const name of names) target?.removeEventListener?.(name, listener);
  };
}

/** Reading `localStorage` throws where the person forbids it. */
function storage(kind: "tab" | "device"): Storage | undefined {
  try {
    return kind === "tab" ? globalThis.sessionStorage : globalThis.localStorage;
  } catch {
    return undefined;
  }
}

export function thisBrowser(): Browser {
  const page = globalThis.document as Document | undefined;
  const frame = globalThis as unknown as EventTarget;
  const hidden = () => page?.visibilityState === "hidden";
  const locks = globalThis.navigator?.locks as LockManager | undefined;
  return {
    WebSocket: globalThis.WebSocket,
    fetch: globalThis.fetch.bind(globalThis),
    random: Math.random,
    ...(locks && { locks }),
    ...(typeof BroadcastChannel === "function" && { openChannel: (name: string) => new BroadcastChannel(name) }),
    storage,
    hidden,
    onWake: (listener) => {
      const unless = () => hidden() || listener();
      const ends = [listen(frame, ["online", "pageshow"], unless), listen(page, ["visibilitychange"], unless)];
      return () => ends.forEach((end) => end());
    },
    onOffline: (listener) => listen(frame, ["offline"], listener),
    onPage: (listener) => listen(frame, ["pagehide", "pageshow"], (event) => listener(event.type === "pageshow")),
  };
}

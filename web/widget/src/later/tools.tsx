import type { Conversation } from "@deskbell/client";
import { h } from "preact";
import { useRef, useState } from "preact/hooks";
import type { Chat } from "../chat/chat.ts";
import { Icon, MORE } from "../view/icon.tsx";
import { Menu, type MenuItem } from "./menu.tsx";

/** The button for everything that is not writing, and its menu. */
export function Tools({ chat, conversation }: { chat: Chat; conversation: Conversation | undefined }) {
  const { t } = chat.language;
  const conversations = chat.visitor.conversations.getSnapshot();
  const [open, setOpen] = useState(false);
  const button = useRef<HTMLButtonElement>(null);
  const muted = chat.keep.get("sound") === "off";
  const ended = conversation?.status === "closed";
  const ask = (what: "previous" | "asksToClose") => {
    chat[what] = true;
    chat.changed();
  };
  const items: (MenuItem | false | undefined)[] = [
    conversations.length > 0 && { icon: "list", text: t("menu.previous"), act: () => ask("previous") },
    ended && { icon: "plus", text: t("menu.new"), act: () => chat.choose(null) },
    {
      icon: muted ? "sound" : "mute",
      text: t(muted ? "menu.sound.on" : "menu.sound.off"),
      act: () => chat.keep.set("sound", muted ? undefined : "off"),
    },
    conversation &&
      !ended &&
      !conversation.local && { icon: "end", text: t("menu.close"), act: () => ask("asksToClose") },
  ];
  return (
    <div class="tools">
      <button
        ref={button}
        type="button"
        class="tool"
        aria-label={t("panel.menu")}
        aria-haspopup="menu"
        aria-expanded={open}
        onMouseDown={(event) => event.preventDefault()}
        onClick={() => setOpen(!open)}
      >
        <Icon path={MORE} name="more" />
      </button>
      {open && (
        <Menu
          label={t("panel.menu")}
          items={items.filter((item) => item !== false && item !== undefined)}
          leave={(focus) => {
            setOpen(false);
            if (focus) button.current?.focus();
          }}
        />
      )}
    </div>
  );
}

import type { Conversation } from "@deskbell/client";
import { useRef, useState } from "react";
import { ToggleButton, ToggleButtonGroup, TooltipTrigger } from "react-aria-components";
import { agent, me, useMayWrite } from "../app/agent.ts";
import { useT } from "../i18n/locale.ts";
import { Button, Tip } from "../ui/Button.tsx";
import { Icon } from "../ui/Icon.tsx";
import css from "./Composer.module.css";
import { type Mode, setDraft, setMode, useDraft, useDrafts } from "./drafts.ts";
import { Field } from "./Field.tsx";
import { type Change, holdFor } from "./hold.ts";
import { Colleagues, Held, ReadOnly } from "./Notices.tsx";
import { LIMIT, lengthOf } from "./length.ts";
import { useSeen } from "./useSeen.ts";

interface ComposerProps {
  readonly conversation: Conversation;
  readonly name: string;
  readonly closed: boolean;
}

/** Where agents write: replies that the visitor sees, and notes among themselves that look different in every way. */
export function Composer({ conversation, name, closed }: ComposerProps) {
  const t = useT();
  const mode = useDrafts((store) => store.modes[conversation.id] ?? "reply");
  const writes = useMayWrite();
  if (!writes) return <ReadOnly />;
  return (
    <section className={css.composer} data-composer="" data-mode={mode} aria-label={t(mode === "note" ? "composer.note" : "composer.reply")}>
      <Colleagues conversation={conversation} />
      <Writing key={mode} conversation={conversation} name={name} closed={closed} mode={mode} />
    </section>
  );
}

function Writing({ conversation, name, closed, mode }: ComposerProps & { mode: Mode }) {
  const { id } = conversation;
  const draft = useDraft(id, mode);
  const [held, setHeld] = useState<Change | null>(null);
  const began = useRef(0);
  const seenNow = useSeen(conversation);
  const text = draft?.text ?? "";
  const length = lengthOf(text);
  const change = (next: string): void => {
    if (text === "") began.current = Date.now();
    setDraft(id, mode, next, text === "" ? conversation.thread.last : seenNow(draft?.seen ?? 0));
    if (mode === "reply") agent.typing(id, next.trim() !== "");
    if (next === "") setHeld(null);
  };
  const send = (): void => {
    if (text.trim() === "" || length > LIMIT) return;
    const changed = mode === "reply" ? holdFor(conversation.thread.entries, draft?.seen ?? 0, me(), Date.now() - began.current) : null;
    if (changed !== null && held?.seq !== changed.seq) return setHeld(changed);
    setHeld(null);
    setDraft(id, mode, "", 0);
    if (mode === "note") agent.note(id, text.trim());
    else {
      agent.typing(id, false);
      agent.send(id, text.trim());
    }
  };
  return (
    <>
      {held !== null && <Held change={held} name={name} onSend={send} onStay={() => setHeld(null)} />}
      <div className={css.box}>
        <Modes id={id} mode={mode} />
        <Field mode={mode} name={name} closed={closed} text={text} onChange={change} onSend={send} onLeave={() => agent.typing(id, false)} />
        <Foot mode={mode} length={length} empty={text.trim() === ""} onSend={send} />
      </div>
    </>
  );
}

function Modes({ id, mode }: { id: string; mode: Mode }) {
  const t = useT();
  return (
    <ToggleButtonGroup
      className={css.modes}
      aria-label={t("composer.mode")}
      selectionMode="single"
      disallowEmptySelection
      selectedKeys={[mode]}
      onSelectionChange={([chosen]) => setMode(id, chosen === "note" ? "note" : "reply")}
    >
      {(["reply", "note"] as const).map((one) => (
        <TooltipTrigger key={one} delay={500}>
          <ToggleButton id={one} className={css.mode} data-mode={one}>
            <Icon name={one} size={14} mirrored={one === "reply"} />
            {t(`mode.${one}`)}
          </ToggleButton>
          <Tip label={t(`mode.${one}.hint`)} command={one} placement="top" />
        </TooltipTrigger>
      ))}
    </ToggleButtonGroup>
  );
}

function Foot({ mode, length, empty, onSend }: { mode: Mode; length: number; empty: boolean; onSend: () => void }) {
  const t = useT();
  const over = length > LIMIT;
  return (
    <div className={css.foot}>
      <span className={css.hint} id="composer-hint">
        {mode === "note" ? t("composer.note.hint") : t("composer.hint")}
      </span>
      {length > LIMIT * 0.9 && (
        <span className={over ? css.over : css.hint} role="status">
          {t(over ? "composer.over" : "composer.left", { n: Math.abs(LIMIT - length) })}
        </span>
      )}
      <Button look={mode === "note" ? "note" : "solid"} icon={mode === "note" ? "note" : "send"} mirrored={mode === "reply"} isDisabled={empty || over} onPress={onSend}>
        {t(mode === "note" ? "send.note" : "send.reply")}
      </Button>
    </div>
  );
}

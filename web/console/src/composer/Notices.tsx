import type { Conversation } from "@deskbell/client";
import { me } from "../app/agent.ts";
import { useT } from "../i18n/locale.ts";
import { Button } from "../ui/Button.tsx";
import { Icon } from "../ui/Icon.tsx";
import css from "./Composer.module.css";
import type { Change } from "./hold.ts";

/** Says who else is writing a reply right now. */
export function Colleagues({ conversation }: { conversation: Conversation }) {
  const t = useT();
  const others = conversation.typing.filter(({ by }) => by.kind === "agent" && by.id !== me());
  const names = others.map(({ by }) => by.name ?? t("agent.unknown"));
  return (
    <div role="status">
      {others.length > 0 && (
        <p className={css.colleagues}>
          <Icon name="people" size={14} />
          {t("replying", { n: others.length, names: new Intl.ListFormat(document.documentElement.lang).format(names) })}
        </p>
      )}
    </div>
  );
}

interface HeldProps {
  readonly change: Change;
  readonly name: string;
  readonly onSend: () => void;
  readonly onStay: () => void;
}

/** A reply that was not sent yet, because the thread changed while it was written. */
export function Held({ change, name, onSend, onStay }: HeldProps) {
  const t = useT();
  const who = change.kind === "visitor" ? name : (change.name ?? t("agent.unknown"));
  return (
    <div className={css.held} role="alert">
      <Icon name="alert" />
      <span className={css.heldText}>
        <strong>{t(`held.${change.kind}`, { name: who })}</strong> {t("held.hint")}
      </span>
      <Button small onPress={onSend}>
        {t("held.send")}
      </Button>
      <Button small look="quiet" onPress={onStay}>
        {t("held.stay")}
      </Button>
    </div>
  );
}

/** In place of the composer for those who may only read. */
export function ReadOnly() {
  const t = useT();
  return (
    <p className={css.readOnly}>
      <Icon name="eye" />
      {t("composer.readOnly")}
    </p>
  );
}

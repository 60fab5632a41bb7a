import { useParams } from "@tanstack/react-router";
import { useConversation } from "../app/agent.ts";
import { useT } from "../i18n/locale.ts";
import { Button } from "../ui/Button.tsx";
import { useVisitorName } from "../ui/useVisitorName.ts";
import { Window } from "../ui/Window.tsx";
import { block } from "./actions.ts";

/** Asks once more before the visitor of the open conversation is shut out, or let in again. */
export function BlockDialog({ onClose }: { onClose: () => void }) {
  const t = useT();
  const { conversation = "" } = useParams({ strict: false });
  const visitor = useConversation(conversation)?.visitor;
  const name = useVisitorName(visitor);
  if (visitor === undefined) return null;
  const key = visitor.banned ? "unblock" : "block";
  const confirm = (): void => {
    void block(conversation, !visitor.banned);
    onClose();
  };
  return (
    <Window title={t(key)} onClose={onClose}>
      <p>{t(`${key}.hint`, { name })}</p>
      <Button look="solid" icon="block" onPress={confirm}>
        {t(key)}
      </Button>
    </Window>
  );
}

import { useParams } from "@tanstack/react-router";
import { agent, me, useReadable } from "../app/agent.ts";
import { useT } from "../i18n/locale.ts";
import { Avatar } from "../ui/Avatar.tsx";
import { type Choice, Picker } from "../ui/Picker.tsx";
import { assign, handBack } from "./actions.ts";

const ORDER = { online: 0, away: 1, offline: 2 } as const;

/** Chooses who gets the open conversation. */
export function AssignDialog({ onClose }: { onClose: () => void }) {
  const t = useT();
  const { conversation } = useParams({ strict: false });
  const choices = useAssignees(conversation ?? "");
  if (conversation === undefined) return null;
  return (
    <Picker
      label={t("assign.title")}
      place={t("assign.place")}
      sections={[{ id: "agents", title: t("assign.title"), items: choices }]}
      onClose={onClose}
    />
  );
}

/** Everyone a conversation can be given to, oneself first and who is here before who is not; and nobody. */
export function useAssignees(conversation: string): readonly Choice[] {
  const t = useT();
  const agents = useReadable(agent.agents);
  const holder = useReadable(agent.head(conversation))?.assignee ?? null;
  const able = agents.filter(({ id, role }) => role !== "viewer" && id !== holder);
  able.sort((a, b) => Number(b.id === me()) - Number(a.id === me()) || ORDER[a.status] - ORDER[b.status] || a.load - b.load);
  const people = able.map(({ id, name, status, load, capacity }): Choice => ({
    id,
    label: id === me() ? t("assign.me", { name }) : name,
    hint: `${t(`presence.${status}`)} · ${t("load", { load, capacity })}`,
    picture: <Avatar id={id} name={name} square status={status} />,
    run: () => void assign(conversation, id),
  }));
  if (holder === null) return people;
  return [...people, { id: "nobody", label: t("handBack"), hint: t("handBack.hint"), icon: "handBack", run: () => void handBack(conversation) }];
}

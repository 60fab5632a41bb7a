import { useNavigate, useParams } from "@tanstack/react-router";
import { setAvailability, take } from "../actions/actions.ts";
import { useAssignees } from "../actions/AssignDialog.tsx";
import { useCloseAndNext } from "../actions/useCloseAndNext.ts";
import { agent, colleague, me, useConversation, useHead, useMayWrite, useReadable } from "../app/agent.ts";
import { setMode } from "../composer/drafts.ts";
import { focusComposer } from "../composer/focus.ts";
import { LANGUAGES, useT, type Language } from "../i18n/locale.ts";
import { keptList } from "../inbox/lists.ts";
import { VIEW_LOOKS, VIEWS, viewOf } from "../inbox/view.ts";
import { signOut } from "../session/session.ts";
import { useSettings } from "../settings/settings.ts";
import { openDialog } from "../shell/ui.ts";
import { Avatar } from "../ui/Avatar.tsx";
import type { Choice } from "../ui/Picker.tsx";
import { visitorName } from "../ui/useVisitorName.ts";

/** So many conversations are offered by name. */
const PEOPLE = 200;

/** What can be done with the open conversation. */
export function useConversationChoices(): readonly Choice[] {
  const t = useT();
  const { view, conversation = "" } = useParams({ strict: false });
  const head = useHead(conversation);
  const writes = useMayWrite();
  const closeAndNext = useCloseAndNext(conversation, viewOf(view ?? "mine"));
  const assignees = useAssignees(conversation);
  const visitor = useConversation(conversation)?.visitor;
  if (conversation === "" || !writes) return [];
  const write = (mode: "reply" | "note") => () => {
    setMode(conversation, mode);
    focusComposer();
  };
  const open = head?.status !== "closed";
  return [
    { id: "reply", label: t("key.reply"), icon: "reply", command: "reply", run: write("reply") },
    { id: "note", label: t("key.note"), icon: "note", command: "note", run: write("note") },
    ...(open && head?.assignee === null ? [{ id: "take", label: t("key.take"), icon: "take", command: "take", run: () => void take(conversation) } as const] : []),
    ...(open ? [{ id: "close", label: t("key.close"), icon: "done", command: "closeAndNext", run: () => void closeAndNext() } as const] : []),
    ...(visitor === undefined ? [] : [{ id: "block", label: t(visitor.banned ? "unblock" : "block"), icon: "block", run: () => openDialog("block") } as const]),
    ...assignees.map((choice) => (choice.id === "nobody" ? choice : { ...choice, id: `to ${choice.id}`, label: t("palette.assign", { agent: choice.label }) })),
  ];
}

/** Places to go to. */
export function useGoChoices(): readonly Choice[] {
  const t = useT();
  const navigate = useNavigate();
  const commands = { mine: "goInbox", unassigned: "goUnassigned", all: "goAll", closed: undefined } as const;
  return [
    ...VIEWS.map((view): Choice => {
      const command = commands[view];
      return {
        id: `go ${view}`,
        label: t(VIEW_LOOKS[view].label),
        icon: VIEW_LOOKS[view].icon,
        ...(command === undefined ? {} : { command }),
        run: () => void navigate({ to: "/c/inbox/$view", params: { view } }),
      };
    }),
    { id: "setup", label: t("setup"), icon: "link", run: () => void navigate({ to: "/c/setup" }) },
  ];
}

/** Conversations by the visitor's name. */
export function usePeopleChoices(): readonly Choice[] {
  const t = useT();
  const navigate = useNavigate();
  const { ids } = useReadable(keptList("all").snapshot);
  const agents = useReadable(agent.agents);
  return ids.slice(0, PEOPLE).flatMap((id): Choice[] => {
    const head = agent.head(id).getSnapshot();
    if (head === undefined) return [];
    const { visitor, preview, assignee } = head;
    return [
      {
        id,
        label: visitorName(visitor, t),
        hint: preview,
        words: colleague(agents, assignee)?.name ?? "",
        picture: <Avatar id={visitor.id} name={visitor.name} />,
        run: () => void navigate({ to: "/c/inbox/$view/$conversation", params: { view: "all", conversation: id } }),
      },
    ];
  });
}

/** Oneself, and how the console looks. */
export function useSelfChoices(): readonly Choice[] {
  const t = useT();
  const { set, density, singleKeys, sounds } = useSettings();
  const online = colleague(useReadable(agent.agents), me())?.status === "online";
  const themes = (["auto", "light", "dark"] as const).map(
    (theme): Choice => ({ id: `theme ${theme}`, label: `${t("settings.theme")}: ${t(`theme.${theme}`)}`, icon: theme === "dark" ? "moon" : "sun", run: () => set({ theme }) }),
  );
  const languages = (Object.entries(LANGUAGES) as [Language, string][]).map(
    ([language, name]): Choice => ({ id: `language ${language}`, label: `${t("settings.language")}: ${name}`, icon: "globe", run: () => set({ language }) }),
  );
  return [
    ...(useMayWrite()
      ? [{ id: "availability", label: t(online ? "account.away" : "account.online"), icon: online ? "moon" : "bell", run: () => void setAvailability(online ? "away" : "online") } as const]
      : []),
    { id: "settings", label: t("settings"), icon: "settings", run: () => openDialog("settings") },
    { id: "help", label: t("help"), icon: "keyboard", command: "help", run: () => openDialog("help") },
    { id: "density", label: t(density === "compact" ? "palette.cosy" : "palette.compact"), icon: "panel", run: () => set({ density: density === "compact" ? "cosy" : "compact" }) },
    { id: "sounds", label: t(sounds ? "palette.quiet" : "palette.loud"), icon: sounds ? "bellOff" : "bell", run: () => set({ sounds: !sounds }) },
    { id: "keys", label: t(singleKeys ? "palette.keysOff" : "palette.keysOn"), icon: "keyboard", run: () => set({ singleKeys: !singleKeys }) },
    ...themes,
    ...languages,
    { id: "signOut", label: t("signOut"), icon: "signOut", run: () => void signOut() },
  ];
}

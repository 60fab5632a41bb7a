import type { Conversation, ConversationStatus } from "@deskbell/client";
import { Link } from "@tanstack/react-router";
import { Button as AriaButton, Menu, MenuItem, MenuTrigger, Popover, TooltipTrigger } from "react-aria-components";
import { handBack, take } from "../actions/actions.ts";
import { useCloseAndNext } from "../actions/useCloseAndNext.ts";
import { me, useAgentName, useConversation, useMayWrite } from "../app/agent.ts";
import { PHONE, useMedia } from "../app/media.ts";
import { useT } from "../i18n/locale.ts";
import type { ViewName } from "../inbox/view.ts";
import { openDialog } from "../shell/ui.ts";
import { Avatar } from "../ui/Avatar.tsx";
import { Button, IconButton, Tip } from "../ui/Button.tsx";
import { Icon } from "../ui/Icon.tsx";
import buttons from "../ui/Button.module.css";
import menu from "../ui/Menu.module.css";
import { useDetails } from "../visitor/useDetails.ts";
import css from "./ThreadHeader.module.css";

interface State {
  readonly status: ConversationStatus;
  readonly assignee: string | null;
}

interface HeaderProps {
  readonly id: string;
  readonly view: ViewName;
  readonly name: string;
  readonly conversation: Conversation | undefined;
  readonly state: State;
}

/** Who the conversation is with, who has it, and what can be done with it. */
export function ThreadHeader({ id, view, name, conversation, state }: HeaderProps) {
  const t = useT();
  const phone = useMedia(PHONE);
  const details = useDetails();
  return (
    <header className={css.header}>
      {phone && (
        <Link to="/c/inbox/$view" params={{ view }} search={({ details: _, ...rest }) => rest} className={buttons.iconButton} aria-label={t("back")}>
          <Icon name="arrowBack" mirrored />
        </Link>
      )}
      <div className={css.who}>
        <h1 id="thread-title" className={css.name} dir="auto">
          {name}
        </h1>
        <Sub state={state} />
      </div>
      {conversation !== undefined && <Viewers conversation={conversation} />}
      <Actions id={id} view={view} state={state} phone={phone} />
      <IconButton icon="panel" mirrored label={t("details")} command="details" aria-pressed={details.shown} onPress={details.toggle} />
    </header>
  );
}

function Sub({ state }: { state: State }) {
  const t = useT();
  const holder = useAgentName(state.assignee);
  const mine = state.assignee === me();
  return (
    <p className={css.sub}>
      <span className={css.status} data-status={state.status}>
        <Icon name={state.status === "closed" ? "done" : "inbox"} size={12} />
        {t(`status.${state.status}`)}
      </span>
      <span className={css.holder}>
        {state.assignee === null ? t("assignee.none") : mine ? t("assignee.me") : t("assignee", { agent: holder ?? t("agent.unknown") })}
      </span>
    </p>
  );
}

/** The colleagues who have the same conversation open. */
function Viewers({ conversation }: { conversation: Conversation }) {
  const t = useT();
  const others = conversation.viewing.filter(({ id }) => id !== me());
  if (others.length === 0) return null;
  const names = others.map(({ name }) => name ?? t("agent.unknown"));
  const text = t("viewing", { n: others.length, names: new Intl.ListFormat(document.documentElement.lang).format(names) });
  return (
    <TooltipTrigger delay={200}>
      <AriaButton className={css.viewers}>
        <span className="visually-hidden">{text}</span>
        <Icon name="eye" size={14} />
        {others.slice(0, 3).map(({ id, name }) => (
          <Avatar key={id} id={id} name={name} size="s" square />
        ))}
      </AriaButton>
      <Tip label={text} />
    </TooltipTrigger>
  );
}

function Actions({ id, view, state, phone }: { id: string; view: ViewName; state: State; phone: boolean }) {
  const t = useT();
  const writes = useMayWrite();
  const closeAndNext = useCloseAndNext(id, view);
  if (!writes) return null;
  return (
    <div className={css.actions}>
      {state.assignee === null && state.status === "open" && (
        <TooltipTrigger delay={500}>
          <Button look="solid" icon="take" onPress={() => void take(id)}>
            {t("take")}
          </Button>
          <Tip label={t("take.hint")} command="take" />
        </TooltipTrigger>
      )}
      {!phone && state.assignee !== null && state.status === "open" && (
        <IconButton icon="handBack" mirrored label={t("handBack")} onPress={() => void handBack(id)} />
      )}
      {!phone && <IconButton icon="assign" label={t("assign")} command="assign" onPress={() => openDialog("assign")} />}
      {state.status === "open" && (
        <TooltipTrigger delay={500}>
          <Button icon="done" onPress={() => void closeAndNext()}>
            {t("close")}
          </Button>
          <Tip label={t("close.hint")} command="closeAndNext" />
        </TooltipTrigger>
      )}
      {phone && <MoreMenu id={id} state={state} />}
    </div>
  );
}

function MoreMenu({ id, state }: { id: string; state: State }) {
  const t = useT();
  const visitor = useConversation(id)?.visitor;
  return (
    <MenuTrigger>
      <AriaButton className={buttons.iconButton} aria-label={t("more")}>
        <Icon name="chevron" />
      </AriaButton>
      <Popover className={menu.popover} placement="bottom end">
        <Menu className={menu.menu} aria-label={t("more")}>
          <MenuItem className={menu.item} onAction={() => openDialog("assign")}>
            <Icon name="assign" />
            {t("assign")}
          </MenuItem>
          {visitor !== undefined && (
            <MenuItem className={menu.item} onAction={() => openDialog("block")}>
              <Icon name="block" />
              {t(visitor.banned ? "unblock" : "block")}
            </MenuItem>
          )}
          {state.assignee !== null && state.status === "open" && (
            <MenuItem className={menu.item} onAction={() => void handBack(id)}>
              <Icon name="handBack" mirrored />
              {t("handBack")}
            </MenuItem>
          )}
        </Menu>
      </Popover>
    </MenuTrigger>
  );
}

import type { Conversation, Entry, Head, VisitorCard } from "@deskbell/client";
import { useMemo } from "react";
import { me, useAgentName, useConversation, useHead, useMayWrite } from "../app/agent.ts";
import { laid, useOverlays } from "../actions/overlay.ts";
import { PHONE, useMedia } from "../app/media.ts";
import { useT } from "../i18n/locale.ts";
import { openDialog } from "../shell/ui.ts";
import { Avatar } from "../ui/Avatar.tsx";
import { Button, IconButton } from "../ui/Button.tsx";
import { Icon } from "../ui/Icon.tsx";
import { useVisitorName } from "../ui/useVisitorName.ts";
import { Earlier } from "./Earlier.tsx";
import { Facts } from "./Facts.tsx";
import { PageList } from "./PageList.tsx";
import { useDetails } from "./useDetails.ts";
import css from "./VisitorPanel.module.css";

/** Who the conversation is with: identity, what is known, pages, earlier conversations, and who has it. */
export function VisitorPanel({ id, over }: { id: string; over: boolean }) {
  const t = useT();
  const phone = useMedia(PHONE);
  const conversation = useConversation(id);
  const head = useHead(id);
  const details = useDetails();
  const visitor = conversation?.visitor;
  const name = useVisitorName(visitor ?? head?.visitor);
  // On a phone it is a page of its own.
  const [Pane, Title] = phone ? (["main", "h1"] as const) : (["aside", "h2"] as const);
  return (
    <Pane id={phone ? "main" : undefined} className={over ? `${css.panel} ${css.over}` : css.panel} aria-label={t("details")} tabIndex={-1}>
      <header className={css.bar}>
        {phone && <IconButton icon="arrowBack" mirrored label={t("back")} onPress={details.toggle} />}
        <Title className={css.title}>{t("details")}</Title>
        {!phone && <IconButton icon="close" label={t("details.close")} command="details" onPress={details.toggle} />}
      </header>
      <div className={css.body}>
        <Identity visitor={visitor} head={head} name={name} />
        <Holder id={id} conversation={conversation} head={head} />
        {conversation !== undefined && <Known conversation={conversation} />}
        {visitor !== undefined && <Blocking visitor={visitor} />}
      </div>
    </Pane>
  );
}

function Identity({ visitor, head, name }: { visitor: VisitorCard | undefined; head: Head | undefined; name: string }) {
  const t = useT();
  return (
    <section className={css.identity} aria-label={t("visitor")}>
      <Avatar id={visitor?.id ?? head?.visitor.id ?? ""} name={visitor?.name ?? head?.visitor.name} size="xl" />
      <h2 className={css.name}>
        <bdi>{name}</bdi>
      </h2>
      {visitor !== undefined && (
        <p className={css.proof} data-proved={visitor.identified}>
          <Icon name={visitor.identified ? "shield" : "user"} size={14} />
          {t(visitor.identified ? "visitor.identified" : "visitor.anonymous")}
        </p>
      )}
      {visitor?.email !== undefined && (
        <a className={css.email} href={`mailto:${visitor.email}`}>
          <Icon name="mail" size={14} />
          <bdi>{visitor.email}</bdi>
        </a>
      )}
    </section>
  );
}

/** Who has the conversation, and the way to change it. */
function Holder({ id, conversation, head }: { id: string; conversation: Conversation | undefined; head: Head | undefined }) {
  const t = useT();
  const overlay = useOverlays((store) => store.overlays[id]);
  const writes = useMayWrite();
  const { assignee } = laid({ status: "open" as const, assignee: head === undefined ? (conversation?.assignee?.id ?? null) : head.assignee }, overlay);
  const name = useAgentName(assignee);
  return (
    <section className={css.section} aria-labelledby="details-holder">
      <h2 id="details-holder" className={css.heading}>
        {t("details.assignee")}
      </h2>
      <div className={css.holder}>
        {assignee === null ? (
          <span className={css.nobody}>{t("details.nobody")}</span>
        ) : (
          <>
            <Avatar id={assignee} name={name} square />
            <span className={css.holderName}>{assignee === me() ? t("assign.me", { name: name ?? "" }) : (name ?? t("agent.unknown"))}</span>
          </>
        )}
        {writes && (
          <Button small onPress={() => openDialog("assign")}>
            {t("details.change")}
          </Button>
        )}
      </div>
    </section>
  );
}

/** Whether the visitor is shut out, and the way to change it. */
function Blocking({ visitor }: { visitor: VisitorCard }) {
  const t = useT();
  const writes = useMayWrite();
  return (
    <section className={css.section}>
      <div className={css.holder}>
        {visitor.banned && <span className={css.nobody}>{t("visitor.blocked")}</span>}
        {writes && (
          <Button small icon="block" onPress={() => openDialog("block")}>
            {t(visitor.banned ? "unblock" : "block")}
          </Button>
        )}
      </div>
    </section>
  );
}

function Known({ conversation }: { conversation: Conversation }) {
  const { visitor, desk } = conversation;
  const pages = useMemo(() => desk.entries.filter(isPage), [desk.entries]);
  return (
    <>
      <Facts conversation={conversation} />
      <PageList pages={pages} now={visitor?.page} />
      {visitor !== undefined && <Earlier visitor={visitor} current={conversation.id} />}
    </>
  );
}

function isPage(entry: Entry): entry is Extract<Entry, { event: "page" }> {
  return entry.event === "page";
}

import type { AgentInfo } from "@deskbell/client";
import { Link, useParams } from "@tanstack/react-router";
import { agent, useProfile, useReadable } from "../app/agent.ts";
import { useT } from "../i18n/locale.ts";
import { Avatar } from "../ui/Avatar.tsx";
import css from "./Colleagues.module.css";

const ORDER = { online: 0, away: 1, offline: 2 } as const;

/** The other agents: who is here and how much each has to do. Each leads to that agent's conversations. */
export function Colleagues() {
  const t = useT();
  const self = useProfile().agent.id;
  const agents = useReadable(agent.agents);
  const others = agents.filter(({ id, role }) => id !== self && role !== "viewer");
  if (others.length === 0) return null;
  others.sort((a, b) => ORDER[a.status] - ORDER[b.status] || a.name.localeCompare(b.name));
  return (
    <section className={css.colleagues} aria-labelledby="colleagues">
      <h2 id="colleagues" className={css.title}>
        {t("colleagues")}
      </h2>
      <ul className={css.list}>
        {others.map((one) => (
          <li key={one.id}>
            <Colleague one={one} />
          </li>
        ))}
      </ul>
    </section>
  );
}

function Colleague({ one }: { one: AgentInfo }) {
  const t = useT();
  const { view } = useParams({ strict: false });
  const name = `agent-${one.id}`;
  const full = one.load >= one.capacity;
  return (
    <Link
      to="/c/inbox/$view"
      params={{ view: name }}
      className={css.link}
      aria-current={view === name ? "page" : undefined}
      title={t("colleague", { name: one.name, load: one.load, capacity: one.capacity })}
    >
      <Avatar id={one.id} name={one.name} size="m" square status={one.status} />
      <span className={css.name}>{one.name}</span>
      <span className="visually-hidden">{t(`presence.${one.status}`)}</span>
      <span className={full ? `${css.load} ${css.full}` : css.load}>{t("load", { load: one.load, capacity: one.capacity })}</span>
    </Link>
  );
}

import { Switch } from "react-aria-components";
import { setAvailability } from "../actions/actions.ts";
import { agent, colleague, usePart, useProfile } from "../app/agent.ts";
import { useT } from "../i18n/locale.ts";
import { mayWrite } from "../app/agent.ts";
import css from "./Availability.module.css";

/** Switches between online, when new chats may be routed here, and away. */
export function Availability() {
  const t = useT();
  const { agent: self } = useProfile();
  const status = usePart(agent.agents, (agents) => colleague(agents, self.id)?.status ?? "away");
  const online = status === "online";
  if (!mayWrite(self.role)) return null;
  return (
    <Switch
      className={css.availability}
      isSelected={online}
      onChange={(on) => void setAvailability(on ? "online" : "away")}
    >
      <span className={css.track} aria-hidden="true">
        <span className={css.knob} />
      </span>
      <span className={css.text}>
        <span className={css.state}>{t("availability")}</span>
        <span className={css.hint}>{t(online ? "availability.online" : "availability.away")}</span>
      </span>
    </Switch>
  );
}

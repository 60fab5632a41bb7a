import { Switch } from "react-aria-components";
import { useT } from "../i18n/locale.ts";
import { SHORTCUTS } from "../keys/keymap.ts";
import { useSettings } from "../settings/settings.ts";
import { Keys } from "../ui/Button.tsx";
import { Window } from "../ui/Window.tsx";
import css from "./HelpDialog.module.css";
import form from "../ui/Form.module.css";

const GROUPS = ["move", "act", "go"] as const;

/** All shortcuts, and the switch that turns the single keys off. */
export function HelpDialog({ onClose }: { onClose: () => void }) {
  const t = useT();
  const singleKeys = useSettings((settings) => settings.singleKeys);
  const set = useSettings((settings) => settings.set);
  return (
    <Window title={t("help")} onClose={onClose} wide>
      <div className={css.groups}>
        {GROUPS.map((group) => (
          <section key={group}>
            <h3 className={css.title}>{t(`key.group.${group}`)}</h3>
            <dl className={css.keys}>
              {SHORTCUTS.filter((shortcut) => shortcut.group === group).map((shortcut) => (
                <div key={shortcut.command} className={css.row}>
                  <dt>{t(shortcut.label)}</dt>
                  <dd>{singleKeys || shortcut.mod === true ? <Keys command={shortcut.command} /> : t("key.off")}</dd>
                </div>
              ))}
            </dl>
          </section>
        ))}
      </div>
      <Switch className={form.switch} isSelected={singleKeys} onChange={(on) => set({ singleKeys: on })}>
        <span className={form.track} aria-hidden="true" />
        <span>
          {t("settings.keys")}
          <span className={form.hint}>{t("settings.keys.hint")}</span>
        </span>
      </Switch>
    </Window>
  );
}

import { Label, Radio, RadioGroup, Switch } from "react-aria-components";
import { LANGUAGES, useT } from "../i18n/locale.ts";
import { askToNotify, noticesAllowed } from "../notify/desktop.ts";
import { play } from "../notify/sound.ts";
import { type Settings, useSettings } from "../settings/settings.ts";
import form from "../ui/Form.module.css";
import { Window } from "../ui/Window.tsx";

/** How the console looks, speaks and calls for attention on this device. */
export function SettingsDialog({ onClose }: { onClose: () => void }) {
  const t = useT();
  const settings = useSettings();
  const { set } = settings;
  const notify = async (on: boolean): Promise<void> => set({ desktopNotices: on && (await askToNotify()) });
  const sounds = (on: boolean): void => {
    set({ sounds: on });
    if (on) play("message");
  };
  return (
    <Window title={t("settings")} onClose={onClose}>
      <Choice name="theme" label={t("settings.theme")} options={{ auto: t("theme.auto"), light: t("theme.light"), dark: t("theme.dark") }} />
      <Choice name="density" label={t("settings.density")} options={{ cosy: t("density.cosy"), compact: t("density.compact") }} />
      <Choice name="language" label={t("settings.language")} options={LANGUAGES} />
      <Toggle label={t("settings.sounds")} hint={t("settings.sounds.hint")} on={settings.sounds} onChange={sounds} />
      <Toggle
        label={t("settings.notices")}
        hint={t(noticesAllowed() === "denied" ? "settings.notices.denied" : "settings.notices.hint")}
        on={settings.desktopNotices && noticesAllowed() === "granted"}
        disabled={noticesAllowed() === "denied"}
        onChange={(on) => void notify(on)}
      />
      <Toggle label={t("settings.keys")} hint={t("settings.keys.hint")} on={settings.singleKeys} onChange={(singleKeys) => set({ singleKeys })} />
    </Window>
  );
}

interface ChoiceProps<N extends "theme" | "density" | "language"> {
  readonly name: N;
  readonly label: string;
  readonly options: Readonly<Record<Settings[N], string>>;
}

function Choice<N extends "theme" | "density" | "language">({ name, label, options }: ChoiceProps<N>) {
  const value = useSettings((settings) => settings[name]);
  const set = useSettings((settings) => settings.set);
  return (
    <RadioGroup className={form.choice} value={value} orientation="horizontal" onChange={(chosen) => set({ [name]: chosen })}>
      <Label>{label}</Label>
      <div className={form.options}>
        {Object.entries<string>(options).map(([option, text]) => (
          <Radio key={option} value={option} className={form.option}>
            {text}
          </Radio>
        ))}
      </div>
    </RadioGroup>
  );
}

interface ToggleProps {
  readonly label: string;
  readonly hint: string;
  readonly on: boolean;
  readonly disabled?: boolean;
  readonly onChange: (on: boolean) => void;
}

function Toggle({ label, hint, on, disabled = false, onChange }: ToggleProps) {
  return (
    <Switch className={form.switch} isSelected={on} isDisabled={disabled} onChange={onChange}>
      <span className={form.track} aria-hidden="true" />
      <span>
        {label}
        <span className={form.hint}>{hint}</span>
      </span>
    </Switch>
  );
}

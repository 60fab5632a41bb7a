import { useT } from "../i18n/locale.ts";
import { useSettings } from "../settings/settings.ts";
import { Button } from "../ui/Button.tsx";
import { Icon } from "../ui/Icon.tsx";
import { allowSound, useSound } from "./sound.ts";
import css from "./SoundPrompt.module.css";

/** Says that the browser held back a sound, with the one press it waits for. */
export function SoundPrompt() {
  const t = useT();
  const blocked = useSound((sound) => sound.blocked);
  const wanted = useSettings((settings) => settings.sounds);
  const set = useSettings((settings) => settings.set);
  return (
    <div role="status">
      {blocked && wanted && (
        <div className={css.bar}>
          <Icon name="bellOff" />
          <span className={css.text}>{t("sound.blocked")}</span>
          <Button small onPress={() => void allowSound()}>
            {t("sound.allow")}
          </Button>
          <Button small look="quiet" onPress={() => set({ sounds: false })}>
            {t("sound.never")}
          </Button>
        </div>
      )}
    </div>
  );
}

import { Picker } from "../ui/Picker.tsx";
import { useT } from "../i18n/locale.ts";
import { useConversationChoices, useGoChoices, usePeopleChoices, useSelfChoices } from "./choices.tsx";

/** Everything the console can do, by name. */
export function Palette({ onClose }: { onClose: () => void }) {
  const t = useT();
  const sections = [
    { id: "act", title: t("palette.act"), items: useConversationChoices() },
    { id: "go", title: t("palette.go"), items: useGoChoices() },
    { id: "people", title: t("palette.people"), items: usePeopleChoices() },
    { id: "self", title: t("palette.self"), items: useSelfChoices() },
  ];
  return <Picker label={t("palette")} place={t("palette.place")} sections={sections} onClose={onClose} />;
}

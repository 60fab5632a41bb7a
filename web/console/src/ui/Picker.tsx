import { Autocomplete, Collection, Dialog, Header, Input, Menu, MenuItem, MenuSection, Modal, ModalOverlay, SearchField, useFilter } from "react-aria-components";
import { useT } from "../i18n/locale.ts";
import type { Command } from "../keys/keymap.ts";
import { Keys } from "./Button.tsx";
import { Icon } from "./Icon.tsx";
import type { IconName } from "./icons.ts";
import css from "./Picker.module.css";
import window_ from "./Window.module.css";

/** Something that can be chosen. */
export interface Choice {
  readonly id: string;
  readonly label: string;
  readonly hint?: string | undefined;
  /** More words that find it. */
  readonly words?: string;
  readonly icon?: IconName;
  readonly picture?: React.ReactNode;
  readonly command?: Command;
  readonly run: () => void;
}

/** Choices under one title. */
export interface Choices {
  readonly id: string;
  readonly title: string;
  readonly items: readonly Choice[];
}

interface PickerProps {
  readonly label: string;
  readonly place: string;
  readonly sections: readonly Choices[];
  readonly onClose: () => void;
}

/** A window in which typing narrows a list down, and Enter takes what is marked. */
export function Picker({ label, place, sections, onClose }: PickerProps) {
  const t = useT();
  const { contains } = useFilter({ sensitivity: "base" });
  return (
    <ModalOverlay isOpen isDismissable className={`${window_.shade} ${css.shade}`} onOpenChange={onClose}>
      <Modal className={window_.window}>
        <Dialog className={window_.dialog} aria-label={label}>
          <Autocomplete filter={contains}>
            <SearchField className={css.search} aria-label={label} autoFocus>
              <Icon name="search" />
              <Input className={css.input} placeholder={place} />
            </SearchField>
            <div className={css.scroller} role="group" aria-label={label} tabIndex={0}>
              <Menu
                className={css.list}
                aria-label={label}
                items={sections.filter(({ items }) => items.length > 0)}
                renderEmptyState={() => <p className={css.none}>{t("picker.none")}</p>}
              >
                {(section) => (
                  <MenuSection id={section.id}>
                    <Header className={css.title}>{section.title}</Header>
                    <Collection items={section.items}>{(choice) => <ChoiceItem choice={choice} onClose={onClose} />}</Collection>
                  </MenuSection>
                )}
              </Menu>
            </div>
          </Autocomplete>
        </Dialog>
      </Modal>
    </ModalOverlay>
  );
}

function ChoiceItem({ choice, onClose }: { choice: Choice; onClose: () => void }) {
  const run = (): void => {
    onClose();
    choice.run();
  };
  return (
    <MenuItem id={choice.id} className={css.item} textValue={`${choice.label} ${choice.words ?? ""}`} onAction={run}>
      {choice.picture ?? (choice.icon !== undefined && <Icon name={choice.icon} />)}
      <span className={css.label} dir="auto">
        {choice.label}
      </span>
      {choice.hint !== undefined && <span className={css.hint}>{choice.hint}</span>}
      {choice.command !== undefined && <Keys command={choice.command} />}
    </MenuItem>
  );
}

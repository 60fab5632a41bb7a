import { useNavigate } from "@tanstack/react-router";
import { useEffect, useState } from "react";
import { Button as AriaButton, Input, Menu, MenuItem, MenuTrigger, Popover, SearchField } from "react-aria-components";
import { useT } from "../i18n/locale.ts";
import { Keys } from "../ui/Button.tsx";
import { Icon } from "../ui/Icon.tsx";
import button from "../ui/Button.module.css";
import menu from "../ui/Menu.module.css";
import css from "./ListPane.module.css";
import type { Search, ViewName } from "./view.ts";

/** A search begins when nothing was typed for this long. */
const PAUSE_MS = 250;

/** Search by visitor, and the order of the rows. Both stand in the address. */
export function ListTools({ view, q, sort }: { view: ViewName; q: string | undefined; sort: Search["sort"] | undefined }) {
  const t = useT();
  const navigate = useNavigate();
  const change = (next: Search): void => void navigate({ to: ".", search: (old) => ({ ...old, ...next }), replace: true });
  return (
    <div className={css.tools}>
      <SearchBox key={view} q={q} onSearch={(text) => change({ q: text === "" ? undefined : text } as Search)} />
      <MenuTrigger>
        <AriaButton className={button.iconButton} aria-label={t("sort")}>
          <Icon name="settings" />
        </AriaButton>
        <Popover className={menu.popover} placement="bottom end">
          <Menu
            className={menu.menu}
            aria-label={t("sort")}
            selectionMode="single"
            disallowEmptySelection
            selectedKeys={[sort ?? "newest"]}
            onAction={(key) => change({ sort: key === "waiting" ? "waiting" : undefined } as Search)}
          >
            <SortItem id="newest" label={t("sort.newest")} />
            <SortItem id="waiting" label={t("sort.waiting")} />
          </Menu>
        </Popover>
      </MenuTrigger>
    </div>
  );
}

function SortItem({ id, label }: { id: string; label: string }) {
  return (
    <MenuItem id={id} className={menu.item} textValue={label}>
      {({ isSelected }) => (
        <>
          <span className={css.tick}>{isSelected && <Icon name="check" />}</span>
          {label}
        </>
      )}
    </MenuItem>
  );
}

function SearchBox({ q, onSearch }: { q: string | undefined; onSearch: (text: string) => void }) {
  const t = useT();
  const [text, setText] = useState(q ?? "");
  useEffect(() => {
    if (text.trim() === (q ?? "")) return;
    const timer = setTimeout(() => onSearch(text.trim()), PAUSE_MS);
    return () => clearTimeout(timer);
  }, [text, q, onSearch]);
  return (
    <SearchField className={css.search} aria-label={t("search")} value={text} onChange={setText} data-search="">
      <Icon name="search" />
      <Input className={css.input} placeholder={t("search.hint")} />
      {text === "" ? (
        <span className={css.slash} aria-hidden="true">
          <Keys command="search" />
        </span>
      ) : (
        <AriaButton className={css.clear}>
          <Icon name="close" size={14} />
        </AriaButton>
      )}
    </SearchField>
  );
}

import { useRouter } from "@tanstack/react-router";
import { Button, Header, Menu, MenuItem, MenuSection, MenuTrigger, Popover, Separator } from "react-aria-components";
import { setAvailability } from "../actions/actions.ts";
import { agent, colleague, mayWrite, usePart, useProfile } from "../app/agent.ts";
import { useT } from "../i18n/locale.ts";
import { signOut } from "../session/session.ts";
import { Avatar } from "../ui/Avatar.tsx";
import { Keys } from "../ui/Button.tsx";
import { Icon } from "../ui/Icon.tsx";
import menu from "../ui/Menu.module.css";
import css from "./AccountMenu.module.css";
import { openDialog } from "./ui.ts";

/** Oneself: settings, help, setting up the site, signing out. */
export function AccountMenu({ bar }: { bar: boolean }) {
  const t = useT();
  const { agent: self } = useProfile();
  const status = usePart(agent.agents, (agents) => colleague(agents, self.id)?.status ?? "away");
  return (
    <MenuTrigger>
      <Button className={bar ? css.barButton : css.button}>
        <span className="visually-hidden">{t("account")}</span>
        <Avatar id={self.id} name={self.name} size="m" square status={status} />
        {bar ? (
          <span className={css.barLabel}>{t("account.short")}</span>
        ) : (
          <span className={css.who}>
            <span className={css.name}>{self.name}</span>
            <span className={css.role}>{t(`role.${self.role}`)}</span>
          </span>
        )}
      </Button>
      <Popover className={menu.popover} placement="top start">
        <AccountItems online={status === "online"} writes={mayWrite(self.role)} />
      </Popover>
    </MenuTrigger>
  );
}

function AccountItems({ online, writes }: { online: boolean; writes: boolean }) {
  const t = useT();
  const router = useRouter();
  const { agent: self } = useProfile();
  return (
    <Menu className={menu.menu}>
      <MenuSection>
        <Header className={menu.header}>{self.email}</Header>
        {writes && (
          <MenuItem className={menu.item} onAction={() => void setAvailability(online ? "away" : "online")}>
            <Icon name={online ? "moon" : "bell"} />
            {t(online ? "account.away" : "account.online")}
          </MenuItem>
        )}
      </MenuSection>
      <Separator className={menu.separator} />
      <MenuItem className={menu.item} onAction={() => openDialog("settings")}>
        <Icon name="settings" />
        {t("settings")}
      </MenuItem>
      <MenuItem className={menu.item} onAction={() => void router.navigate({ to: "/c/setup" })}>
        <Icon name="link" />
        {t("setup")}
      </MenuItem>
      <MenuItem className={menu.item} onAction={() => openDialog("help")}>
        <Icon name="keyboard" />
        {t("help")}
        <Keys command="help" />
      </MenuItem>
      <Separator className={menu.separator} />
      <MenuItem className={menu.item} onAction={() => void signOut()}>
        <Icon name="signOut" mirrored />
        {t("signOut")}
      </MenuItem>
    </Menu>
  );
}

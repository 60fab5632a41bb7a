import { useContext } from "react";
import { Button as AriaButton, type ButtonProps as AriaButtonProps, type TooltipProps, Tooltip, TooltipTrigger, TooltipTriggerStateContext } from "react-aria-components";
import { useSettings } from "../settings/settings.ts";
import { caps, type Command, shortcutOf } from "../keys/keymap.ts";
import css from "./Button.module.css";
import { Icon } from "./Icon.tsx";
import type { IconName } from "./icons.ts";

interface ButtonProps extends Omit<AriaButtonProps, "className" | "style" | "children"> {
  readonly look?: "plain" | "quiet" | "solid" | "note" | "danger";
  readonly small?: boolean;
  readonly icon?: IconName;
  readonly mirrored?: boolean;
  readonly children?: React.ReactNode;
  readonly className?: string;
}

/** A button with a text and, perhaps, an icon. */
export function Button({ look = "plain", small = false, icon, mirrored, children, className = "", ...rest }: ButtonProps) {
  return (
    <AriaButton {...rest} className={`${css.button} ${css[look]} ${small ? css.small : ""} ${className}`}>
      {icon !== undefined && <Icon name={icon} mirrored={mirrored ?? false} />}
      {children}
    </AriaButton>
  );
}

interface IconButtonProps extends Omit<AriaButtonProps, "className" | "style" | "children" | "aria-label"> {
  readonly label: string;
  readonly icon: IconName;
  readonly command?: Command;
  readonly mirrored?: boolean;
  readonly placement?: TooltipProps["placement"];
  readonly className?: string;
}

/** A button that is an icon only; its name shows, with its shortcut, on hover and focus. */
export function IconButton({ label, icon, command, mirrored, placement = "bottom", className = "", ...rest }: IconButtonProps) {
  return (
    <TooltipTrigger delay={500} closeDelay={80}>
      <AriaButton {...rest} aria-label={label} className={`${css.iconButton} ${className}`}>
        <Icon name={icon} mirrored={mirrored ?? false} />
      </AriaButton>
      <Tip placement={placement} label={label} command={command} />
    </TooltipTrigger>
  );
}

/** The bubble of a tooltip: a name and the keys that do the same. */
export function Tip({ label, command, placement = "bottom" }: { label: string; command?: Command | undefined; placement?: TooltipProps["placement"] }) {
  // Renders again when the tooltip opens, so that the place is looked up then.
  useContext(TooltipTriggerStateContext);
  return (
    <Tooltip className={css.tip} placement={placement} offset={6} UNSTABLE_portalContainer={tipPlace()}>
      {label}
      {command !== undefined && <Keys command={command} />}
    </Tooltip>
  );
}

/** The element that tooltips are put into; it stands within a landmark, so that they belong to the page's outline. */
export const TIP_PLACE = "tips";

/** Not while a window is open: what lies under it can't show anything above it. */
function tipPlace(): Element | undefined {
  const place = document.getElementById(TIP_PLACE);
  return place?.closest("[inert], [aria-hidden=true]") === null ? place : undefined;
}

/** The keys of a command as key caps; nothing while single keys are switched off. */
export function Keys({ command }: { command: Command }) {
  const singles = useSettings((settings) => settings.singleKeys);
  const shortcut = shortcutOf(command);
  if (shortcut === undefined || (!singles && shortcut.mod !== true)) return null;
  return (
    <span className={css.keys}>
      {caps(shortcut, APPLE).map((cap) => (
        <kbd key={cap} className={css.cap}>
          {cap}
        </kbd>
      ))}
    </span>
  );
}

/** Apple keyboards have Command where others have Control. */
export const APPLE = /Mac|iP(hone|ad|od)/.test(navigator.platform);

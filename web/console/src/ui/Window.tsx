import { Dialog, Heading, Modal, ModalOverlay } from "react-aria-components";
import { useT } from "../i18n/locale.ts";
import { IconButton } from "./Button.tsx";
import css from "./Window.module.css";

interface WindowProps {
  readonly title: string;
  readonly onClose: () => void;
  readonly wide?: boolean;
  readonly children: React.ReactNode;
}

/** A modal window with a title. Escape and a press beside it close it. */
export function Window({ title, onClose, wide = false, children }: WindowProps) {
  const t = useT();
  return (
    <ModalOverlay isOpen isDismissable className={css.shade} onOpenChange={onClose}>
      <Modal className={wide ? `${css.window} ${css.wide}` : css.window}>
        <Dialog className={css.dialog}>
          <header className={css.head}>
            <Heading slot="title" className={css.title}>
              {title}
            </Heading>
            <IconButton icon="close" label={t("close.window")} onPress={onClose} />
          </header>
          <div className={css.body}>{children}</div>
        </Dialog>
      </Modal>
    </ModalOverlay>
  );
}

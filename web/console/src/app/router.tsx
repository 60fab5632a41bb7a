import { createRootRoute, createRoute, createRouter, lazyRouteComponent, redirect } from "@tanstack/react-router";
import { InboxPage } from "../inbox/InboxPage.tsx";
import { searchOf } from "../inbox/view.ts";
import { Gate } from "./Gate.tsx";
import { NotFound } from "./NotFound.tsx";

const toInbox = () => {
  throw redirect({ to: "/c/inbox/$view", params: { view: "mine" }, replace: true });
};

const root = createRootRoute({ component: Gate, notFoundComponent: NotFound });
const index = createRoute({ getParentRoute: () => root, path: "/", beforeLoad: toInbox });
const console_ = createRoute({ getParentRoute: () => root, path: "/c", beforeLoad: toInbox });
const inboxIndex = createRoute({ getParentRoute: () => root, path: "/c/inbox", beforeLoad: toInbox });

const inbox = createRoute({
  getParentRoute: () => root,
  path: "/c/inbox/$view",
  validateSearch: searchOf,
  component: InboxPage,
});

const conversation = createRoute({ getParentRoute: () => inbox, path: "$conversation" });

const setup = createRoute({
  getParentRoute: () => root,
  path: "/c/setup",
  component: lazyRouteComponent(() => import("../setup/SetupPage.tsx"), "SetupPage"),
});

/** All addresses of the console. */
export function makeRouter() {
  const routeTree = root.addChildren([index, console_, inboxIndex, inbox.addChildren([conversation]), setup]);
  return createRouter({ routeTree, defaultPreload: false, scrollRestoration: false });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}

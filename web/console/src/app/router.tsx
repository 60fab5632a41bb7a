import { createRootRoute, createRoute, createRouter, redirect } from "@tanstack/react-router";
import { lazy } from "react";
import { InboxPage } from "../inbox/InboxPage.tsx";
import { searchOf } from "../inbox/view.ts";
import { ErrorPage } from "./ErrorPage.tsx";
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

// Not the router's own way to load it, which loads the page anew when it fails, also while the server is away.
const SetupPage = lazy(async () => ({ default: (await import("../setup/SetupPage.tsx")).SetupPage }));
const setup = createRoute({ getParentRoute: () => root, path: "/c/setup", component: SetupPage });

/** All addresses of the console. */
export function makeRouter() {
  const routeTree = root.addChildren([index, console_, inboxIndex, inbox.addChildren([conversation]), setup]);
  return createRouter({ routeTree, defaultPreload: false, scrollRestoration: false, defaultErrorComponent: ErrorPage });
}

declare module "@tanstack/react-router" {
  interface Register {
    router: ReturnType<typeof makeRouter>;
  }
}

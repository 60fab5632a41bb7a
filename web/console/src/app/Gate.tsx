import type { AgentProfile } from "@deskbell/client";
import { useEffect } from "react";
import { loadDrafts } from "../composer/drafts.ts";
import { useSession } from "../session/session.ts";
import { SignIn } from "../session/SignIn.tsx";
import { Stopped } from "../session/Stopped.tsx";
import { Shell } from "../shell/Shell.tsx";
import { agent, useReadable } from "./agent.ts";
import { Splash } from "./Splash.tsx";

/** Lets in who is signed in. The address stays as it is, so signing in leads to where one was going. */
export function Gate() {
  const status = useReadable(agent.status);
  const profile = useReadable(agent.profile);
  if (status.state === "stopped" && status.reason !== "closed") {
    if (status.reason !== "unauthorized") return <Stopped reason={status.reason ?? "forbidden"} />;
    return <SignIn />;
  }
  if (profile === null) return <Splash />;
  return <SignedIn key={profile.agent.id} profile={profile} />;
}

function SignedIn({ profile }: { profile: AgentProfile }) {
  // Before the first composer renders, so that it begins with its draft.
  loadDrafts(profile.agent.id);
  useEffect(() => useSession.setState({ was: true }), []);
  return <Shell />;
}

import type { AgentProfile } from "@deskbell/client";

/** The line that puts the widget on a page. */
export function snippet({ project, public_url }: Pick<AgentProfile, "project" | "public_url">): string {
  return `<script src="${base(public_url)}/w/loader.js"\n        data-project="${project.public_key}"\n        async></script>`;
}

/** The address of the page on which one can chat without a site of one's own. */
export function chatUrl({ project, public_url }: Pick<AgentProfile, "project" | "public_url">): string {
  return `${base(public_url)}/chat/${project.public_key}`;
}

/** Something about the settings that one should look at. */
export type Doubt = "no-origins" | "plain-http" | "other-host";

/** What does not make sense in the settings, as far as they tell. `here` is the address of this page. */
export function doubts({ project, public_url }: Pick<AgentProfile, "project" | "public_url">, here: string): Doubt[] {
  const found: Doubt[] = [];
  const server = originOf(public_url);
  if (project.origins.filter((origin) => originOf(origin) !== server).length === 0) found.push("no-origins");
  if (project.origins.some((origin) => origin.startsWith("http://") && !isLocal(origin))) found.push("plain-http");
  if (server !== originOf(here)) found.push("other-host");
  return found;
}

function base(url: string): string {
  return url.replace(/\/+$/, "");
}

function originOf(url: string): string {
  try {
    return new URL(url).origin;
  } catch {
    return url;
  }
}

function isLocal(origin: string): boolean {
  return /^http:\/\/(localhost|127\.\d+\.\d+\.\d+|\[::1\])(:\d+)?$/.test(origin);
}

import { StrictMode } from "react";
import { createRoot } from "react-dom/client";
import { App } from "./app/App.tsx";
import { applySettings } from "./settings/settings.ts";
import "./styles/tokens.css";
import "./styles/base.css";

const root = document.getElementById("root");
if (root !== null) {
  // A language that can't be loaded leaves the page in English rather than blank.
  void applySettings()
    .catch(() => undefined)
    .then(() => createRoot(root).render(<StrictMode><App /></StrictMode>));
}

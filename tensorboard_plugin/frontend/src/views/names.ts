/** The views of the tab, in the order of their buttons. */

export const VIEWS = [
  { name: "diagnosis", title: "Diagnosis" },
  { name: "rules", title: "Rules × runs" },
  { name: "layer", title: "Layer" },
  { name: "model", title: "Model" },
  { name: "probe", title: "Probe" },
  { name: "compare", title: "Compare" },
  { name: "thresholds", title: "Thresholds" },
  { name: "cost", title: "Cost" },
] as const;

export type ViewName = (typeof VIEWS)[number]["name"];

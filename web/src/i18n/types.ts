/** The types of ports, and why one does not fit another, in the user's language. */

import { t, type TextKey } from ".";
import { depthOf, innermost, type PortType, portType, type Refusal, typeText } from "../graph";
import { en } from "./en";

/** What a person calls a type: `ModelRef[VAE]` is "VAE model", `list[Image]` "Image list". */
export function typeLabel(text: string): string {
  const type = portType(text);
  const inner = innermost(type);
  const name = inner.name === "ModelRef" ? t("type.model", { name: modelKind(inner) }) : (known(`type.${inner.name}`) ?? inner.name);
  return depthOf(type) > 0 ? t("type.list", { name }) : name;
}

export function refusalText(refusal: Refusal): string {
  switch (refusal.why) {
    case "choice":
      return t("fit.choice", { choice: refusal.choice });
    case "depth":
      return t("fit.depth", { source: typeText(refusal.source), target: typeText(refusal.target) });
    case "model":
      return t("fit.model", { source: modelKind(refusal.source), target: modelKind(refusal.target) });
    case "type": {
      const reason = t("fit.type", { source: given(refusal.source), target: given(refusal.target) });
      // The node that usually belongs between the two, for the mix-ups that beginners make.
      const advice = known(`fit.advice.${refusal.source.name}.${refusal.target.name}`);
      return advice ? t("fit.advised", { reason, advice }) : reason;
    }
    default:
      return t(`fit.${refusal.why}`);
  }
}

const known = (key: string) => (key in en ? t(key as TextKey) : undefined);
const modelKind = (type: PortType) => known(`type.model.${type.args[0]?.name}`) ?? type.args[0]?.name ?? "";

function given(type: PortType): string {
  if (type.name === "ModelRef") return t("gives.model", { name: modelKind(type) });
  return known(`gives.${type.name}`) ?? t("gives.other", { name: type.name });
}

import { useState } from "react";
import { saidName, type TextKey, useT } from "../i18n";
import { fieldOf, inputName, joinPort, parseValues, portsOf } from "../graph";
import { hasSeeds, runMany, runTimes } from "../state/runs";
import { activeTab, toast, useApp } from "../state/store";
import { Sheet, SheetForm } from "../ui/Sheet";

type Way = "times" | "lines";
const MOST = 1000;

/** Many runs by one click: a number of times with seeds of their own, or once for each line of a text. */
export function SeveralSheet({ way: first, onClose }: { way: Way; onClose: () => void }) {
  const t = useT();
  const [way, setWay] = useState<Way>(first);
  const [texts] = useState(textFields);
  const [field, setField] = useState(() => texts.find((one) => one.prompt)?.name ?? texts[0]?.name ?? "");
  const [lines, setLines] = useState("");
  const [typed, setTyped] = useState("4");
  const [how, setHow] = useState<"random" | "step">("random");
  const [busy, setBusy] = useState(false);
  const chosen = texts.find((one) => one.name === field);
  const values = chosen?.spec ? parseValues(lines, chosen.spec).values : [];
  const seeds = hasSeeds();
  const times = Number.isInteger(Number(typed)) && Number(typed) >= 1 && Number(typed) <= MOST ? Number(typed) : 0;
  const count = way === "lines" ? values.length : seeds ? times : 0;
  const submit = async () => {
    if (!count || busy) return;
    setBusy(true);
    const queued = way === "lines" ? await runMany({ sweep: { [field]: values } }) : await runTimes(times, how);
    setBusy(false);
    if (!queued) return;
    onClose();
    toast(t("several.queued", { count: queued }), "info", { label: t("several.grid"), run: () => useApp.setState({ form: true }) });
  };
  return (
    <Sheet title={t("several.title")} onClose={onClose}>
      <SheetForm className="several" label={count ? t((count === 1 ? "several.run.one" : "several.run") as TextKey, { count }) : t("run")} disabled={!count || busy} onSubmit={() => void submit()} onClose={onClose}>
        <div className="segmented" role="group" aria-label={t("several.title")}>
          {(["times", "lines"] as const).map((one) => (
            <button key={one} type="button" data-way={one} aria-pressed={way === one} onClick={() => setWay(one)}>
              {t(`several.${one}`)}
            </button>
          ))}
        </div>
        {way === "times" && !seeds && <p className="warning">{t("several.noSeeds")}</p>}
        {way === "times" && seeds && (
          <>
            <label className="setting">
              <span>{t("several.count")}</span>
              <input type="number" min="1" max={MOST} required value={typed} onChange={(event) => setTyped(event.target.value)} data-first />
            </label>
            <label className="setting">
              <span>{t("several.seeds")}</span>
              <select value={how} onChange={(event) => setHow(event.target.value as typeof how)}>
                <option value="random">{t("several.seeds.random")}</option>
                <option value="step">{t("several.seeds.step")}</option>
              </select>
            </label>
          </>
        )}
        {way === "lines" && !texts.length && <p className="warning">{t("several.noTexts")}</p>}
        {way === "lines" && texts.length > 0 && (
          <>
            <label className="setting">
              <span>{t("several.field")}</span>
              <select value={field} onChange={(event) => setField(event.target.value)}>
                {texts.map(({ name, label }) => (
                  <option key={name} value={name}>
                    {label}
                  </option>
                ))}
              </select>
            </label>
            <textarea rows={8} aria-label={t("several.lines")} placeholder={t("several.lines")} value={lines} onChange={(event) => setLines(event.target.value)} data-first />
          </>
        )}
      </SheetForm>
    </Sheet>
  );
}

/** The texts of the workflow that are typed in: inputs by their name, those of its form first. */
function textFields() {
  const { document } = activeTab();
  const { catalogue } = useApp.getState();
  const linked = new Set(document.links.map(({ to }) => to));
  const found = Object.entries(document.nodes).flatMap(([id, node]) =>
    portsOf([document], id, node, catalogue)
      .inputs.filter((input) => input.type === "str" && input.widget?.widget === "text" && !input.choices.length && !linked.has(joinPort(id, input.name)))
      .map((input) => {
        const port = joinPort(id, input.name);
        const name = inputName(document, port);
        const label = name === port ? `${node.title ?? id} · ${saidName(input.name)}` : saidName(name);
        return { name, label, exposed: name !== port, prompt: input.widget?.widget === "text" && input.widget.prompt, spec: fieldOf(document, catalogue, port).spec };
      }),
  );
  return found.sort((a, b) => Number(b.exposed) - Number(a.exposed));
}

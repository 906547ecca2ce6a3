import { type RefObject, useEffect, useRef } from "react";
import { keyNames } from "../commands/commands";
import { useT } from "../i18n";
import { graphOf, useApp } from "../state/store";
import { endOffer, endTour, startTour, TOUR, type TourStep } from "../state/tour";

/** On an empty canvas, until it is answered or something is opened: an offer that stands beside the work, not before it. */
export function TourOffer() {
  const t = useT();
  const offered = useApp((state) => state.preferences.offerTour && state.tour === null && state.ready && !Object.keys(graphOf(state).nodes).length);
  if (!offered) return null;
  return (
    <section className="tour-offer" aria-label={t("tour.offer")}>
      <p>{t("tour.offer")}</p>
      <div className="buttons">
        <button type="button" className="primary" data-tour="start" onClick={() => void startTour()}>
          {t("tour.start")}
        </button>
        <button type="button" data-tour="skip" onClick={endOffer}>
          {t("tour.no")}
        </button>
      </div>
    </section>
  );
}

export function Tour() {
  const step = useApp((state) => state.tour);
  return step === null ? null : <Step number={step} />;
}

function Step({ number }: { number: number }) {
  const t = useT();
  const step = TOUR[number] as TourStep;
  const ring = useRef<HTMLDivElement>(null);
  const next = useRef<HTMLButtonElement>(null);
  useRing(ring, step);
  useEffect(() => next.current?.focus(), [number]);
  const go = (to: number) => (to < 0 || to >= TOUR.length ? endTour() : useApp.setState({ tour: to }));
  return (
    <>
      <div ref={ring} className="tour-ring" aria-hidden="true" hidden />
      <section
        className="tour"
        role="dialog"
        aria-label={t("tour.title")}
        onKeyDown={(event) => {
          if (event.key === "Escape") endTour();
          else if (event.key === "ArrowRight") go(number + 1);
          else if (event.key === "ArrowLeft" && number) go(number - 1);
          else return;
          event.preventDefault();
          event.stopPropagation();
        }}
      >
        <small>{t("tour.count", { number: number + 1, count: TOUR.length })}</small>
        <div aria-live="polite">
          <h2>{t(`tour.${step}`)}</h2>
          <p>{t(`tour.${step}.text`, { keys: keyNames("run") || "–" })}</p>
        </div>
        <div className="buttons">
          <button ref={next} type="button" className="primary" data-tour="next" onClick={() => go(number + 1)}>
            {t(number === TOUR.length - 1 ? "tour.end" : "tour.next")}
          </button>
          {number > 0 && (
            <button type="button" data-tour="back" onClick={() => go(number - 1)}>
              {t("tour.back")}
            </button>
          )}
          <button type="button" data-tour="skip" onClick={endTour}>
            {t("tour.skip")}
          </button>
        </div>
      </section>
    </>
  );
}

/** What a step speaks of, as elements of the page; a link lies between the two sockets that it joins. */
function pointedAt(step: TourStep): Element[] {
  const state = useApp.getState();
  const graph = graphOf(state);
  const one = (selector: string) => [...document.querySelectorAll(selector)].slice(0, 1);
  if (step === "run") return one(".run-button");
  if (step === "share") return one(".share-button");
  if (step === "link") {
    const link = graph.links.find(({ from }) => from.endsWith(".latent")) ?? graph.links[0];
    if (!link) return [];
    return [...one(`[data-side="output"][data-port="${CSS.escape(link.from)}"]`), ...one(`[data-side="input"][data-port="${CSS.escape(link.to)}"]`)];
  }
  const drawn = Object.entries(graph.nodes).find(([, node]) => node.type === "sampling.sample")?.[0] ?? Object.keys(graph.nodes)[0];
  return drawn ? one(step === "cache" ? `[data-node="${CSS.escape(drawn)}"] header` : `[data-node="${CSS.escape(drawn)}"]`) : [];
}

/** Keeps the ring around what a step speaks of, wherever that is moved. Where nothing of it is in sight there is none. */
function useRing(ring: RefObject<HTMLDivElement | null>, step: TourStep): void {
  useEffect(() => {
    let frame = 0;
    const follow = () => {
      const element = ring.current;
      const boxes = pointedAt(step).map((one) => one.getBoundingClientRect());
      if (element) {
        element.hidden = !boxes.length || boxes.every(({ width }) => !width);
        const [left, top] = [Math.min(...boxes.map((box) => box.left)) - 6, Math.min(...boxes.map((box) => box.top)) - 6];
        const [right, bottom] = [Math.max(...boxes.map((box) => box.right)) + 6, Math.max(...boxes.map((box) => box.bottom)) + 6];
        if (!element.hidden) Object.assign(element.style, { left: `${left}px`, top: `${top}px`, width: `${right - left}px`, height: `${bottom - top}px` });
      }
      frame = requestAnimationFrame(follow);
    };
    follow();
    return () => cancelAnimationFrame(frame);
  }, [ring, step]);
}

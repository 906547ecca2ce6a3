import { useCallback, useEffect, useRef, useState } from "react";
import { type TextKey, useT } from "../i18n";
import { typeLabel } from "../i18n/types";
import { type Command, commands, commandTitle, execute, keysOf, useKeyNames } from "../commands/commands";
import { holders, refusal, type Refusal, resetAllKeys, resetKeys, setKeys, takeKeys } from "../commands/rebind";
import { useApp } from "../state/store";
import { keysFrom, readable } from "../ui/keyNames";
import { Sheet } from "../ui/Sheet";
import { TypeDots } from "../ui/TypeDots";

/** All keys, which can be changed, and mouse gestures, and what the colours of sockets mean. */
export function ShortcutSheet({ onClose }: { onClose: () => void }) {
  const t = useT();
  useKeyNames();
  const own = useApp((state) => state.preferences.ownKeys);
  const [changing, setChanging] = useState("");
  // The focus goes back to where it was when the keys are there.
  const [last, setLast] = useState("");
  const close = useCallback(() => {
    setLast(changing);
    setChanging("");
  }, [changing]);
  const groups = [...new Set(commands.map((command) => command.group))];
  const mouse = (["add", "wire", "pickUp", "moveAll", "unlink", "cut", "bend", "insert", "copy", "pan", "zoom", "box", "scrub"] as const).map((key) =>
    t(`mouse.${key}` as TextKey, { mod: readable("$mod"), alt: readable("Alt") }).split("|"),
  );
  const types = ["Image", "Mask", "Latent", "Conditioning", "ModelRef[Denoiser]", "ModelRef[TextEncoder]", "ModelRef[VAE]", "ModelRef[ControlNet]", "str", "int", "bool", "Any"];
  return (
    <Sheet title={t("shortcuts.title")} onClose={onClose} className="wide">
      <div className="buttons">
        {(["tour", "where"] as const).map((id) => (
          <button key={id} type="button" data-help={id} onClick={() => execute(id)}>
            {commandTitle(id)}
          </button>
        ))}
        {Object.keys(own).length > 0 && (
          <button type="button" data-keys="reset-all" onClick={resetAllKeys}>
            {t("keys.resetAll")}
          </button>
        )}
      </div>
      <p className="hint">{t("keys.hint")}</p>
      <div className="columns">
        {groups.map((group) => (
          <section key={group}>
            <h3>{t(`group.${group}` as TextKey)}</h3>
            {commands
              .filter((command) => command.group === group)
              .map((command) =>
                command.id === changing ? (
                  <Recorder key={command.id} command={command} onClose={close} />
                ) : (
                  <Shortcut key={command.id} command={command} changed={command.id in own} focused={command.id === last} onChange={() => setChanging(command.id)} />
                ),
              )}
          </section>
        ))}
        <section>
          <h3>{t("shortcuts.mouse")}</h3>
          {mouse.map(([action, effect]) => (
            <div className="shortcut" key={action}>
              <span>{effect}</span>
              <em>{action}</em>
            </div>
          ))}
        </section>
        <section>
          <h3>{t("legend")}</h3>
          {types.map((type) => (
            <div className="shortcut" key={type}>
              <span>{typeLabel(type)}</span>
              <TypeDots types={[type]} />
            </div>
          ))}
          <p className="hint">{t("legend.shapes")}</p>
        </section>
      </div>
    </Sheet>
  );
}

function Shortcut({ command, changed, focused, onChange }: { command: Command; changed: boolean; focused: boolean; onChange: () => void }) {
  const t = useT();
  const keys = keysOf(command);
  const title = commandTitle(command.id);
  // With the blanks between: the name of the button has the text that is seen on it.
  const shown = keys.flatMap((one, index) => [index > 0 && " ", <kbd key={one}>{readable(one)}</kbd>]);
  return (
    <div className="shortcut" data-shortcut={command.id}>
      <span>{title}</span>
      <span>
        {changed && (
          <button type="button" className="icon" aria-label={t("keys.resetOf", { name: title })} title={t("keys.resetOf", { name: title })} onClick={() => resetKeys(command.id)}>
            ↺
          </button>
        )}
        {/* The browser's own events do these, by the keys that it has for them. */}
        {command.native ? (
          <span className="fixed-keys">{shown}</span>
        ) : (
          <button type="button" className="keys" autoFocus={focused} aria-label={t("keys.change", { name: title, keys: keys.map(readable).join(" ") || t("keys.none") })} title={t("keys.press")} onClick={onChange}>
            {keys.length ? shown : "—"}
          </button>
        )}
      </span>
    </div>
  );
}

/** Waits for the keys that a command is to have. */
function Recorder({ command, onClose }: { command: Command; onClose: () => void }) {
  const t = useT();
  const [pressed, setPressed] = useState("");
  const [refused, setRefused] = useState<Refusal | null>(null);
  const row = useRef<HTMLDivElement>(null);
  useEffect(() => row.current?.focus(), []);
  const others = pressed && !refused ? holders(command.id, pressed) : [];
  useEffect(() => {
    const press = (event: KeyboardEvent) => {
      const target = event.target as HTMLElement;
      // The buttons of the row are reached and pressed as ever.
      if (target.closest(".recorder button") && (event.key === "Tab" || event.key === "Enter" || event.key === " ")) return;
      event.preventDefault();
      event.stopImmediatePropagation();
      if (event.key === "Escape") return onClose();
      const keys = keysFrom(event);
      if (keys === undefined) return;
      const reason = refusal(command, keys) ?? null;
      setPressed(keys);
      setRefused(reason);
      if (reason || holders(command.id, keys).length) return;
      setKeys(command.id, keys);
      onClose();
    };
    window.addEventListener("keydown", press, true);
    return () => window.removeEventListener("keydown", press, true);
  }, [command, onClose]);
  return (
    <div className="shortcut recorder" data-shortcut={command.id} tabIndex={-1} ref={row}>
      <span>{commandTitle(command.id)}</span>
      <div role="status">
        {pressed && <kbd>{readable(pressed)}</kbd>} {refused ? t(`keys.refused.${refused}`) : others.length ? t("keys.taken", { name: others.map((one) => commandTitle(one.id)).join(", ") }) : t("keys.press")}
      </div>
      <div className="buttons">
        {others.length > 0 && (
          <button
            type="button"
            className="primary"
            onClick={() => {
              setKeys(command.id, pressed);
              onClose();
            }}
          >
            {t("keys.takeOver")}
          </button>
        )}
        {keysOf(command).length > 0 && (
          <button
            type="button"
            onClick={() => {
              takeKeys(command.id);
              onClose();
            }}
          >
            {t("keys.takeAway")}
          </button>
        )}
        <button type="button" onClick={onClose}>
          {t("cancel")}
        </button>
      </div>
    </div>
  );
}

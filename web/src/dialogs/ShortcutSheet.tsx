import { type TextKey, useT } from "../i18n";
import { typeLabel } from "../i18n/types";
import { commands, commandTitle } from "../commands/commands";
import { readable } from "../commands/keys";
import { Sheet } from "../ui/Sheet";
import { TypeDots } from "../ui/TypeDots";

/** All keys and mouse gestures, and what the colours of sockets mean. */
export function ShortcutSheet({ onClose }: { onClose: () => void }) {
  const t = useT();
  const groups = [...new Set(commands.map((command) => command.group))];
  const mouse = (["add", "wire", "pickUp", "moveAll", "unlink", "cut", "bend", "insert", "copy", "pan", "zoom", "box", "scrub"] as const).map((key) =>
    t(`mouse.${key}` as TextKey).split("|"),
  );
  const types = ["Image", "Mask", "Latent", "Conditioning", "ModelRef[Denoiser]", "ModelRef[TextEncoder]", "ModelRef[VAE]", "ModelRef[ControlNet]", "str", "int", "bool", "Any"];
  return (
    <Sheet title={t("shortcuts.title")} onClose={onClose} className="wide">
      <div className="columns">
        {groups.map((group) => (
          <section key={group}>
            <h3>{t(`group.${group}` as TextKey)}</h3>
            {commands
              .filter((command) => command.group === group && command.keys)
              .map((command) => (
                <div className="shortcut" key={command.id}>
                  <span>{commandTitle(command.id)}</span>
                  <span>
                    {command.keys?.map((keys) => (
                      <kbd key={keys}>{readable(keys)}</kbd>
                    ))}
                  </span>
                </div>
              ))}
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

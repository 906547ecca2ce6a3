import { Sheet } from "../ui/Sheet";
import { Download, type MediaFile, MediaResult } from "../results/MediaResult";

/** A video, a sound, a mesh or a text as large as the window allows. */
export function MediaSheet({ file, onClose }: { file: MediaFile; onClose: () => void }) {
  return (
    <Sheet title={file.name} onClose={onClose} className="viewer">
      <div className="media-stage">
        <MediaResult file={file} />
      </div>
      <div className="buttons">
        <Download file={file} />
      </div>
    </Sheet>
  );
}

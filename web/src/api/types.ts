// Made by `python -m safelight.http.typescript`; do not edit. The source is the structs of the server.
// Fields with a question mark may be left out; `unknown` is any JSON value.

/** What all addresses of the API begin with. */
export const BASE = "/api/v1";

/** The inside of a polygon. `points`: x and y, one corner after the other. */
export interface Area {
  kind: "area";
  points: number[];
  color?: string | null;
}

/**
 * What differs between the runs of a batch: the name of an input, or `node.port`, and its values in order.
 *
 * The axis of `rows` is named `rows`, and its values are the rows themselves.
 */
export interface Axis {
  name: string;
  values: unknown[];
}

/**
 * A sweep: its axes, and its runs in the order in which they were asked for (the last axis changes fastest).
 *
 * `missing` are runs that were removed since.
 */
export interface Batch {
  id: string;
  name: string;
  created: number;
  axes: Axis[];
  runs: BatchRun[];
  missing: number;
}

export interface BatchAnswer {
  batch: string;
  runs: string[];
}

/**
 * A sweep. `rows` are sets of input values, one run each; `sweep` lists values by input, and every combination
 * runs.
 *
 * Keys are names of the workflow's inputs, or `node.port` for any other port. With both, each row is combined with
 * each combination. `values` and `inputs` hold for all. At most 10,000 runs.
 */
export interface BatchBody {
  document?: WorkflowDocument;
  workflow?: string | null;
  inputs?: { [key: string]: unknown };
  values?: { [key: string]: unknown };
  targets?: string[] | null;
  force?: string[];
  name?: string;
  priority?: number;
  key?: string | null;
  checkpoint_seconds?: number | null;
  device?: string;
  rows?: { [key: string]: unknown }[];
  sweep?: { [key: string]: unknown[] };
}

/** One run of a batch. `cell` is its place in the grid, an index on each axis, `values` are the values there. */
export interface BatchRun {
  id: string;
  status: "cancelled" | "done" | "failed" | "interrupted" | "paused" | "queued" | "running";
  cell: number[];
  values: unknown[];
  files: RunFile[];
  outputs: { [key: string]: OutputItem[] };
  problems: Problem[];
}

/** A named collection of outputs. `count` are those on it that are not in the trash. */
export interface Board {
  id: string;
  name: string;
  created: number;
  count: number;
}

/** A new board, and what is to lie on it. */
export interface BoardBody {
  name: string;
  items?: string[];
}

export interface BoardName {
  name: string;
}

/**
 * The state of a cache. Sizes in bytes; counts on disk are those of all processes that share the folder.
 *
 * `trouble` says why nothing is written to disk any more; empty when all is well. `shared` is the bucket behind the
 * disk, where there is one.
 */
export interface CacheInfo {
  folder: string | null;
  memory_bytes: number;
  memory_limit: number;
  memory_values: number;
  disk_bytes: number;
  disk_limit: number;
  disk_values: number;
  actions: number;
  states: number;
  state_bytes: number;
  pending: number;
  hits: number;
  misses: number;
  trouble: string;
  shared: SharedInfo | null;
}

/** `hard` ends the worker process at once instead of asking the node to stop. */
export interface CancelBody {
  hard?: boolean;
}

/**
 * All installed nodes, the packs they came from, the rules of connecting, and the media: how files are shown.
 *
 * Of media that share a media type the first one has it. `images` are the ids of nodes that have a small image, with
 * an example inside. `digest` changes with the content.
 */
export interface CatalogueAnswer {
  digest: string;
  nodes: NodeSpec[];
  packs: PackState[];
  rules: ConnectionRules;
  media: MediumInfo[];
  images: string[];
}

/**
 * Packs were edited and imported again (`serve --dev`): the catalogue is another one now.
 *
 * `packages` are those that were imported, `broken` the packs of which not everything could be.
 */
export interface CatalogueChanged {
  event: "catalogue_changed";
  packages: string[];
  broken: PackState[];
}

/** The outputs that this has changed; others were not there, or were so already. */
export interface Changed {
  items: string[];
}

/**
 * `types` has the types of the outputs of each node as they are in this graph (`node` → `output` → type).
 *
 * `document` is there where nodes of older versions or former ids were brought up to date: it means the same, in the
 * ids and ports of today. An editor goes on with it.
 */
export interface CheckAnswer {
  ok: boolean;
  problems: Problem[];
  types: { [key: string]: { [key: string]: string } };
  document: WorkflowDocument | null;
}

/** A document to be checked, as far as `targets` need it (default: all outputs). */
export interface CheckBody {
  document: WorkflowDocument;
  targets?: string[] | null;
}

/** One of a fixed list; the list itself is the `Literal[...]` of the annotation. */
export interface Choice {
  widget: "choice";
  group: string;
  advanced: boolean;
  shown_if: { [key: string]: unknown };
}

/** A colour as `#rrggbb`. */
export interface Color {
  widget: "color";
  group: string;
  advanced: boolean;
  shown_if: { [key: string]: unknown };
}

/** What happens on a link between two innermost types. `how`: `same`, `widen` or `no`, with the reason in words. */
export interface Connection {
  how: "no" | "same" | "widen";
  reason: string;
}

/**
 * `can_connect` as data, for an editor that decides while a link is dragged.
 *
 * Take the innermost types of both ends (what is inside `list[...]`). `table[from][to]` says what happens between
 * them; a pair that is not listed cannot be connected. `variables` (type variables) and a target of `Any` take
 * everything. Choices fit when each text of the source is among those of the target, or the source lists none. Then
 * the depths (how many `list[...]` are around): equal is as the table says; the target one deeper wraps into a list;
 * the source deeper maps the node over the elements; the target deeper by two or more is refused.
 */
export interface ConnectionRules {
  table: { [key: string]: { [key: string]: Connection } };
  variables: string[];
  refusal: string;
}

/** The content of the other program's file, and what became of the nodes. */
export interface ConvertAnswer {
  file: { [key: string]: unknown };
  report: ExportReport;
}

/** A document to be written for another program: as ComfyUI's editor saves it, or as its API takes it. */
export interface ConvertBody {
  document: WorkflowDocument;
  to?: "comfyui" | "comfyui-api";
}

/** What workers compute on: `kind` is `cpu`, `cuda` or `mps`. `memory` is what it has, `free` what is left now. */
export interface Device {
  name: string;
  kind: string;
  memory: number;
  free: number;
}

/** It was done; `count` is how many things it touched. */
export interface Done {
  count: number;
}

/**
 * `url` is the https address of a file, or `org/name` of the hub, with `/path/inside` and `@revision`.
 *
 * `folder` is the subfolder of the models folder, by default that of its kind; `name` the file's. `sha256` and `size`
 * are what it must be. `confirmed` is the host that the user has agreed to, where the settings do not name it.
 */
export interface DownloadBody {
  url: string;
  folder?: string;
  name?: string;
  sha256?: string;
  size?: number;
  confirmed?: string;
}

/** A download went on, ended, or (`removed`) was forgotten. */
export interface DownloadChanged {
  event: "download_changed";
  download: DownloadInfo;
  removed: boolean;
}

/**
 * A model that is fetched: `done` of `total` bytes (0: unknown) are there.
 *
 * `url` is as it was ordered, `name` the file's where it is known, `model` what the model goes by once it is there.
 * `rate` is bytes a second. A failed or paused one goes on from what is there.
 */
export interface DownloadInfo {
  id: string;
  url: string;
  status: "done" | "failed" | "paused" | "queued" | "running";
  name: string;
  folder: string;
  done: number;
  total: number;
  rate: number;
  model: string;
  problem: Problem | null;
}

/** All downloads that go on, wait, are paused, or ended since the server was started; newest last. */
export interface DownloadList {
  downloads: DownloadInfo[];
}

/** Groups of models whose files are equal. `hashing` is set while files are still read: ask again later. */
export interface DuplicateList {
  groups: ModelInfo[][];
  hashing: ScanProgress | null;
}

/** Changes to a run that has not started. `ahead_of` and `behind` name another waiting run. */
export interface EditRunBody {
  name?: string | null;
  priority?: number | null;
  ahead_of?: string | null;
  behind?: string | null;
}

/** Events in order; `data.event` names each. */
export interface Events {
  message: "events";
  events: NumberedEvent[];
}

/**
 * `written` of the `nodes` have a counterpart in the other program; `kept` count the types of the rest, which it
 * calls missing. `remarks` tell, node by node, what is not as it was.
 */
export interface ExportReport {
  program: string;
  nodes: number;
  written: number;
  kept: { [key: string]: number };
  remarks: Problem[];
}

/** Types of nodes, models and workflows that outputs were made with, and their tags, each with how often. */
export interface FacetsAnswer {
  nodes: { [key: string]: number };
  models: { [key: string]: number };
  workflows: { [key: string]: number };
  tags: { [key: string]: number };
}

/**
 * A finished file, kept by content. Made by `ctx.save`; the host of the run writes it where the user wants it.
 *
 * `name` is a pattern below the output folder (`{counter}` is filled in when it is written), `digest` names the bytes,
 * `keep` is False for previews, which are shown but not written. `embed` says that the workflow goes into the file,
 * if its format can carry one. `frames` and `seconds` are those of what moves or sounds.
 */
export interface File {
  name: string;
  media_type: string;
  digest: string;
  size: number;
  width: number;
  height: number;
  keep: boolean;
  embed: "nothing" | "workflow";
  frames: number;
  seconds: number;
}

/** A file came into the input or output folder through the server, or was removed by it. */
export interface FileChanged {
  event: "file_changed";
  folder: "input" | "output";
  name: string;
  removed: boolean;
}

/**
 * A file of the input or output folder. `name` is its path in it; `run` made it, where that is known.
 *
 * `url` and `thumbnail` are addresses on this server; `digest` is empty where nobody has needed it yet.
 */
export interface FileInfo {
  name: string;
  size: number;
  modified: number;
  media_type: string;
  url: string;
  thumbnail: string;
  digest: string;
  width: number;
  height: number;
  frames: number;
  seconds: number;
  run: string | null;
}

/** Files, the newest first. `next` is the value of `offset` for the following page; None at the end. */
export interface FilePage {
  files: FileInfo[];
  total: number;
  next: number | null;
}

/**
 * A file of the input folder, by its path inside it. Its content is part of the cache key.
 *
 * `kind` is the name of a medium (`image`, `video`, `audio`, `mesh`, `text`, or that of a pack), `mask` for an image
 * that is painted in the editor, or `any`. A node that reads other files of its folder as well says `beside`: they go
 * with a run to another machine. They are no part of the key, so such a node is `cache=False`.
 */
export interface FilePick {
  widget: "file";
  kind: string;
  beside: boolean;
  group: string;
  advanced: boolean;
  shown_if: { [key: string]: unknown };
}

/** A folder of this machine. `like` is `plain`, `comfyui`, `a1111` or `invokeai`; empty: told from what is in it. */
export interface FolderBody {
  folder: string;
  like?: string;
}

/** Model folders in the order in which names are looked up, and what is wrong with any of them. */
export interface FolderList {
  folders: ModelFolder[];
  problems: Problem[];
}

/** Outputs were rated, tagged or laid on boards, or boards were made, renamed or deleted. */
export interface GalleryChanged {
  event: "gallery_changed";
}

/** The same with every parameter that led to it, in the order in which the nodes ran, and the run's inputs. */
export interface GalleryDetail {
  id: string;
  name: string;
  digest: string;
  media_type: string;
  size: number;
  width: number;
  height: number;
  frames: number;
  seconds: number;
  made: number;
  url: string;
  thumbnail: string;
  run: string | null;
  workflow: string | null;
  batch: string | null;
  prompts: string[];
  models: string[];
  seed: number | null;
  nodes: string[];
  trashed: number | null;
  rating: number;
  tags: string[];
  boards: string[];
  parameters: Parameter[];
  inputs: { [key: string]: unknown };
}

/**
 * Something that a run has made, or that was found in the output folder.
 *
 * `prompts`, `models`, `seed` and `nodes` (types) are those on the way to it. `trashed` says since when it is in the
 * trash. `run` and `batch` may be forgotten by now. `frames` and `seconds` are those of what moves or sounds.
 * `rating` is 0 (none) to 5, `boards` are ids.
 */
export interface GalleryItem {
  id: string;
  name: string;
  digest: string;
  media_type: string;
  size: number;
  width: number;
  height: number;
  frames: number;
  seconds: number;
  made: number;
  url: string;
  thumbnail: string;
  run: string | null;
  workflow: string | null;
  batch: string | null;
  prompts: string[];
  models: string[];
  seed: number | null;
  nodes: string[];
  trashed: number | null;
  rating: number;
  tags: string[];
  boards: string[];
}

/** Outputs, the newest first. `next` is the value of `offset` for the following page; None at the end. */
export interface GalleryPage {
  items: GalleryItem[];
  total: number;
  next: number | null;
}

/** `ready`: there is a worker that takes runs. */
export interface Health {
  status: "ok";
  ready: boolean;
  version: string;
  uptime: number;
}

/**
 * The first message on the socket. `number` is the latest event; `resumed` says that nothing was missed since
 * the `after` that was asked for.
 */
export interface Hello {
  message: "hello";
  server: string;
  version: string;
  number: number;
  resumed: boolean;
}

/** Everything that may stand in the stream. */
export type HostEvent =
  | RunChanged
  | RunRemoved
  | QueueChanged
  | WorkerChanged
  | WorkflowChanged
  | ModelsChanged
  | DownloadChanged
  | CatalogueChanged
  | FileChanged
  | GalleryChanged
  | PresetsChanged
  | Snapshot
  | RunStarted
  | NodeStarted
  | NodeProgress
  | NodeFinished
  | NodeSkipped
  | NodeFailed
  | NodeWarned
  | RunFinished;

/**
 * `nodes` are those that do something, `mapped` those that were translated; `placeholders` count the classes of
 * the rest. `remarks` tell, node by node, what is not as it was.
 */
export interface ImportReport {
  program: string;
  nodes: number;
  mapped: number;
  placeholders: { [key: string]: number };
  remarks: Problem[];
  models: NamedModel[];
}

/** An input as data. `socket` is True for what stands before `*`: it starts as a socket, not as a widget. */
export interface InputSpec {
  name: string;
  type: string;
  socket: boolean;
  required: boolean;
  lazy: boolean;
  default: unknown;
  choices: string[];
  widget: Slider | Number | Seed | Text | Toggle | Choice | FilePick | ModelPick | Color | Items | Paint | null;
  help: string;
}

/** A list of numbers or texts, one below the other. */
export interface Items {
  widget: "items";
  max_items: number;
  group: string;
  advanced: boolean;
  shown_if: { [key: string]: unknown };
}

/** Outputs by id. */
export interface ItemsBody {
  items: string[];
}

/**
 * Marks in the order in which they were made.
 *
 * Where layers are regions of prompts, each has a `prompt`, the `strength` of it against others in the same place,
 * and the `color` that its next mark is shown in.
 */
export interface Layer {
  name?: string;
  opacity?: number;
  visible?: boolean;
  marks?: (Stroke | Area | Region)[];
  prompt?: string;
  strength?: number;
  color?: string | null;
}

/** What an upload may be at most: bytes of the file, pixels of one image or frame, seconds. 0: no limit. */
export interface Limits {
  bytes: number;
  pixels: number;
  seconds: number;
}

/**
 * What is said of outputs, all at once. `rating` is 0 (none) to 5; what is left out stays as it is.
 *
 * Tags are words, and those that differ in case only are one; boards are named by id.
 */
export interface MarkBody {
  items: string[];
  rating?: number | null;
  add_tags?: string[];
  remove_tags?: string[];
  add_boards?: string[];
  remove_boards?: string[];
}

/**
 * A medium as data, for the editor. `values` are the types of ports that it shows, `carries` the media types that
 * a workflow can be put into, `thumbnails` says whether there are small images of its files.
 */
export interface MediumInfo {
  name: string;
  view: "audio" | "file" | "image" | "text" | "thumbnail" | "video";
  values: string[];
  types: string[];
  suffixes: string[];
  carries: string[];
  thumbnails: boolean;
  limits: Limits;
}

/** A workflow. */
export interface MissingBody {
  document: WorkflowDocument;
}

/** The models that a workflow lacks. */
export interface MissingList {
  models: MissingModel[];
}

/**
 * A model that a workflow names and that is not there, or not to be told; `ports` are where (`node.port`).
 *
 * `url`, `sha256`, `size` and `folder` go into the body of `POST /downloads` as they are; `url` is empty where nobody
 * says where it can be had. With `asks` the user must agree to the host first.
 */
export interface MissingModel {
  name: string;
  kind: string;
  ports: string[];
  problem: Problem;
  url: string;
  sha256: string;
  size: number;
  folder: string;
  asks: boolean;
}

/**
 * A folder that models are looked for in. Our own have no `name`, and cannot be removed.
 *
 * `folder` is told on the machine itself only.
 */
export interface ModelFolder {
  name: string;
  like: string;
  folder: string | null;
}

/**
 * A model that can be named in a model port. `place`: `starter`, `hub`, `folder` or `file`.
 *
 * `components` are the bytes on disk of each part, `precision` the type that most weights are kept in. `problem` says
 * why it cannot be used, if so. `sort` says which one a preprocessor is: `hed`, or a class of transformers such as
 * `SamModel`. `format` is `diffusers`, `safetensors`, `gguf`, `onnx` or `pickle`; `tree` names the
 * added folder it lies in. `preview` is the address of an image of what it makes, if there is one. `title`, `triggers`
 * (words for prompts), `licence` and `source` are what was noted about it; `sha256` is empty until it was computed.
 */
export interface ModelInfo {
  name: string;
  place: string;
  kind: string;
  sort: string;
  family: string;
  size: number;
  components: { [key: string]: number };
  precision: string;
  format: string;
  tree: string;
  modified: number;
  preview: string;
  title: string;
  triggers: string[];
  licence: string;
  source: string;
  sha256: string;
  problem: Problem | null;
}

/**
 * `scanning` is set while the search goes on: `models` is what was known before it then.
 *
 * Its end is told by the event `models_changed`.
 */
export interface ModelList {
  models: ModelInfo[];
  scanning: ScanProgress | null;
}

/**
 * A model by name: `starter`, a hub id such as `org/name`, or a folder or file below the model folders.
 *
 * The state of its files is part of the cache key, so replaced weights are never mistaken for the old ones.
 */
export interface ModelPick {
  widget: "model";
  kind: string;
  group: string;
  advanced: boolean;
  shown_if: { [key: string]: unknown };
}

/** How far the search for models is: `done` of `total` looked at; `scanning` turns false at its end. */
export interface ModelsChanged {
  event: "models_changed";
  scanning: boolean;
  done: number;
  total: number;
}

/** A file that a workflow says where to get: its name, the folder of models it belongs in, and its address. */
export interface NamedModel {
  name: string;
  directory: string;
  url: string;
  hash: string;
}

/** The node raised. Other branches go on. */
export interface NodeFailed {
  event: "node_failed";
  node: string;
  problem: Problem;
  run: string;
}

/**
 * `cached` results came from an earlier run. `bytes` is what the outputs hold in memory, `files` what was made,
 * by the names that it has now.
 *
 * `values` are the outputs that can be read at a glance: numbers, yes or no, short texts, and short lists of these.
 */
export interface NodeFinished {
  event: "node_finished";
  node: string;
  cached: boolean;
  seconds: number;
  bytes: number;
  files: File[];
  values: { [key: string]: unknown };
  run: string;
}

/**
 * `step` of `total` is done. `preview` is a small image for those who asked for one; it never goes into JSON.
 *
 * `curve` are (step, value) points of something watched over the steps, such as a loss: all of it so far, or nothing
 * where it has not changed since it was last told.
 */
export interface NodeProgress {
  event: "node_progress";
  node: string;
  step: number;
  total: number;
  preview: unknown;
  curve: [number, number][];
  run: string;
}

/** The node could not run because `because`, which it depends on, failed. */
export interface NodeSkipped {
  event: "node_skipped";
  node: string;
  because: string;
  run: string;
}

/**
 * A node as data: what the editor draws and `check` holds a document against. `help` is the docstring.
 *
 * `aliases` are ids that it had before, `tags` further words that people search it by. `deprecated` says what to use
 * instead, and why; such a node runs as ever, but is not offered any more.
 */
export interface NodeSpec {
  id: string;
  version: number;
  title: string;
  category: string;
  help: string;
  inputs: InputSpec[];
  outputs: OutputSpec[];
  output: boolean;
  cache: boolean;
  pack: string;
  aliases: string[];
  tags: string[];
  deprecated: string;
}

/** The node's function is about to be called. */
export interface NodeStarted {
  event: "node_started";
  node: string;
  run: string;
}

/**
 * Where one node of a run stands. `step` of `total` is its progress, `seconds` what it took (cached: took once).
 *
 * `curve` is the latest one that the node has told (see `node_progress`), `values` what it gave (see `node_finished`),
 * `files` what it has made; of an ended run, what it showed without saving it.
 */
export interface NodeState {
  status: "cached" | "failed" | "off" | "ran" | "running" | "skipped" | "waiting";
  step: number;
  total: number;
  seconds: number;
  curve: [number, number][];
  values: { [key: string]: unknown };
  files: File[];
}

/** The node goes on, and tells of something that may not be as it was meant. */
export interface NodeWarned {
  event: "node_warned";
  node: string;
  problem: Problem;
  run: string;
}

/**
 * A number that is typed in, with hard bounds where they are given.
 *
 * `zero` is what the editor shows instead of 0, where that has a meaning of its own, such as "auto".
 * `usual` is how far from 0 values mostly are: what is farther is told of, and taken.
 */
export interface Number {
  widget: "number";
  min: number | null;
  max: number | null;
  step: number | null;
  multiple_of: number | null;
  zero: string;
  usual: number | null;
  group: string;
  advanced: boolean;
  shown_if: { [key: string]: unknown };
}

/** An event with its place in the stream. Numbers only grow, also over restarts of the server. */
export interface NumberedEvent {
  number: number;
  at: number;
  data: HostEvent;
}

/**
 * The workflow inside a file; `problems` are those of opening it. `report` tells what became of one of another
 * program. `kind` is what it was opened as, `kinds` what it could be opened as.
 */
export interface Opened {
  document: WorkflowDocument;
  problems: Problem[];
  report: ImportReport | null;
  kind: "a1111" | "comfyui" | "comfyui-api" | "draw-things" | "fooocus" | "invokeai" | "invokeai-graph" | "invokeai-settings" | "novelai" | "safelight" | "swarmui";
  kinds: ("a1111" | "comfyui" | "comfyui-api" | "draw-things" | "fooocus" | "invokeai" | "invokeai-graph" | "invokeai-settings" | "novelai" | "safelight" | "swarmui")[];
}

/** One element of an output of the workflow: a file, or a plain value, or the name of a type without such a form. */
export interface OutputItem {
  file?: RunFile | null;
  value?: unknown;
  type?: string | null;
}

/** An output as data. */
export interface OutputSpec {
  name: string;
  type: string;
  choices: string[];
  help: string;
}

/** A pack as the catalogue lists it. `reason` and `remedy` are filled in where a module of it did not load. */
export interface PackState {
  name: string;
  version: string;
  modules: string[];
  reason: string;
  remedy: string;
}

/**
 * A painting as `safelight.sdk.paintings` has it, made in the editor's painter; empty where nothing is painted yet.
 *
 * `image` names the image port that lies below it, `width` and `height` those of its size where there is none. With
 * `prompts` its layers are regions, each with a prompt.
 */
export interface Paint {
  widget: "paint";
  prompts: boolean;
  image: string;
  width: string;
  height: string;
  background: string;
  max_length: number;
  group: string;
  advanced: boolean;
  shown_if: { [key: string]: unknown };
}

/** Layers, the lowest first. */
export interface Painting {
  width: number;
  height: number;
  layers?: Layer[];
}

/** A value that was typed into a port: `node` is its id (subgraphs as `a/b`), `type` that of the node. */
export interface Parameter {
  node: string;
  type: string;
  port: string;
  value: unknown;
}

/**
 * Where a workflow is listed; what is left out stays as it is. `opened` notes that it was opened now.
 *
 * A `folder` is named as `portraits/night`; empty: none. Folders come and go with the workflows in them.
 */
export interface PlaceBody {
  folder?: string | null;
  starred?: boolean | null;
  opened?: boolean;
}

/** A prediction. `nodes` is empty when the document has problems that keep it from running. */
export interface PlanAnswer {
  ok: boolean;
  nodes: { [key: string]: PlanNode };
  seconds: number;
  problems: Problem[];
}

/** A document to be planned. `inputs` are values for the workflow's own inputs, `force` nodes to run anyhow. */
export interface PlanBody {
  document: WorkflowDocument;
  targets?: string[] | null;
  inputs?: { [key: string]: unknown };
  force?: string[];
}

/**
 * What will become of a node: `cached`, `run`, `unknown` (below a choice not yet made), `off`, `unneeded`.
 *
 * `seconds` is what it took last time, `turns` what is known of an instance that is repeated. `memory` is for
 * nodes that run with models. `files` are those that a cached output node has made. `shared` says that a cached
 * result lies in the cache that a team shares, and not on this machine.
 */
export interface PlanNode {
  status: "cached" | "off" | "run" | "unknown" | "unneeded";
  seconds: number | null;
  turns: PlannedTurns | null;
  memory: PlannedMemory | null;
  files: File[];
  shared: boolean;
}

/**
 * What a node needs in memory, as far as it is known before the run, in bytes.
 *
 * `weights` are those of its models, `working` the activations of the largest step beside them, `room` what models may
 * take on `device`. `way` is how they are held: `whole` beside all others of the run, `swap` whole while the others
 * are out of the way, `offload` block by block from main memory; `lacking` is for what will hardly fit in any way.
 */
export interface PlannedMemory {
  device: string;
  weights: number;
  working: number;
  room: number;
  way: "lacking" | "offload" | "swap" | "whole";
}

/**
 * What is known of the turns of a call: how many there are, if that is known, are cached, and will run.
 *
 * Where these are fewer than all, there are too many turns to look at all of them.
 */
export interface PlannedTurns {
  total: number | null;
  cached: number;
  run: number;
}

/**
 * The votes on a sweep, the oldest first, and the table of what is compared, the best first.
 *
 * `steady` is false while somebody has only won or only lost, or was not compared with all others by any chain; one
 * tie for each pair that was voted on stands in until then.
 */
export interface Preferences {
  votes: Vote[];
  standings: Standing[];
  steady: boolean;
}

/**
 * `values` by port, for the `version` of the node that is installed; ports that are left out stay as they are.
 *
 * `standard`: new nodes of the type begin with it; one of each type at most is. `modified` is in seconds since 1970.
 */
export interface Preset {
  id: string;
  type: string;
  version: number;
  name: string;
  values: { [key: string]: unknown };
  standard: boolean;
  modified: number;
}

/** One to be kept; it takes the place of one of the same name and type. */
export interface PresetBody {
  type: string;
  version?: number;
  name: string;
  values: { [key: string]: unknown };
  standard?: boolean;
}

/** What is left out stays as it is. */
export interface PresetChange {
  name?: string | null;
  standard?: boolean | null;
}

/** A preset was kept, changed or deleted. */
export interface PresetsChanged {
  event: "presets_changed";
}

/** The header of a binary frame: two bytes of its length (big-endian), this as JSON, then the image itself. */
export interface PreviewHeader {
  run: string;
  node: string;
  step: number;
  total: number;
  media_type: string;
  width: number;
  height: number;
}

/**
 * What is wrong, where, and what to do about it.
 *
 * `code` is stable and listed in docs/problems.md; `message` shows the offending value as the user typed it;
 * `hint` names the remedy. `details` holds a traceback for the log and the details view, never the message.
 * A `warning` stops nothing: it tells of what a run leaves out, or does otherwise than may have been meant.
 */
export interface Problem {
  code: string;
  message: string;
  hint: string;
  node: string | null;
  port: string | null;
  value: unknown;
  details: string | null;
  level: "error" | "warning";
}

/** The answer to everything that cannot be done: all that is wrong, at once. */
export interface Problems {
  problems: Problem[];
}

/** `running` in the order of their start, `waiting` in the order in which they will start (the first 1,000). */
export interface QueueAnswer {
  queue: QueueInfo;
  running: Run[];
  waiting: Run[];
  paused: Run[];
}

/** The queue was paused or resumed, or its length changed. */
export interface QueueChanged {
  event: "queue_changed";
  queue: QueueInfo;
}

/** The queue in numbers. `seconds` is what the runs that wait and run are expected to take still, on all workers. */
export interface QueueInfo {
  paused: boolean;
  waiting: number;
  running: number;
  seconds: number | null;
}

/** Whole pixels. `runs`: where one begins, counted row by row, and how many there are, run after run. */
export interface Region {
  kind: "region";
  runs: number[];
  color?: string | null;
}

export interface RenameBody {
  name: string;
  revision: number;
}

/** One saved state of a workflow. `autosave`: the editor saved it by itself, and later ones may take its place. */
export interface RevisionInfo {
  revision: number;
  created: number;
  message: string;
  autosave: boolean;
  digest: string;
}

/**
 * A run, from its acceptance to its end.
 *
 * `status`: `queued` and `interrupted` (began, was cut off, will go on where it was) wait for a worker; `paused` waits
 * for `resume`; `done`, `failed` and `cancelled` are final, and reached exactly once. `position` counts from 0 at the
 * front of the queue and is given by `GET /runs/{id}` and `GET /queue` only; the order is `interrupted` before
 * `queued`, the higher `priority` before the lower, the lower `rank` before the higher. `attempts` are starts,
 * `deaths` the workers that died of it. `seconds` is the time of the last attempt, `estimate` what the whole was
 * expected to take when it was accepted, `progress` 0..1. `left` are the seconds until its end is expected, the wait
 * for its turn included; given where `position` is, and for running ones. `key` is the one that it was asked for with.
 * `inputs` are values of the workflow's inputs by name, and of any other port as `node.port`.
 */
export interface Run {
  id: string;
  name: string;
  status: "cancelled" | "done" | "failed" | "interrupted" | "paused" | "queued" | "running";
  priority: number;
  rank: number;
  position: number | null;
  attempts: number;
  deaths: number;
  created: number;
  started: number | null;
  finished: number | null;
  seconds: number | null;
  estimate: number | null;
  progress: number | null;
  left: number | null;
  workflow: string | null;
  batch: string | null;
  retry_of: string | null;
  key: string | null;
  worker: string | null;
  inputs: { [key: string]: unknown };
  problems: Problem[];
  outputs: { [key: string]: OutputItem[] };
  files: RunFile[];
}

/** A run was accepted, started, ended or edited. Its end is this event with a final status, never earlier. */
export interface RunChanged {
  event: "run_changed";
  run: Run;
}

/** A run with what became of each node, and how it was asked for. */
export interface RunDetail {
  id: string;
  name: string;
  status: "cancelled" | "done" | "failed" | "interrupted" | "paused" | "queued" | "running";
  priority: number;
  rank: number;
  position: number | null;
  attempts: number;
  deaths: number;
  created: number;
  started: number | null;
  finished: number | null;
  seconds: number | null;
  estimate: number | null;
  progress: number | null;
  left: number | null;
  workflow: string | null;
  batch: string | null;
  retry_of: string | null;
  key: string | null;
  worker: string | null;
  inputs: { [key: string]: unknown };
  problems: Problem[];
  outputs: { [key: string]: OutputItem[] };
  files: RunFile[];
  nodes: { [key: string]: NodeState };
  targets: string[] | null;
  force: string[];
}

/** The problems of a run with their tracebacks, for the details view. Given on the own machine only. */
export interface RunDetails {
  problems: Problem[];
}

/**
 * A finished file of a run. `name` is its path below the output folder, `digest` names its bytes.
 *
 * `url` gives the bytes and `thumbnail` a small image of them (empty where there is none); both are
 * content-addressed and may be kept for ever. `node` made it; `output` is set when it is a named output of the
 * workflow. `frames` and `seconds` are those of what moves or sounds.
 */
export interface RunFile {
  name: string;
  digest: string;
  media_type: string;
  size: number;
  width: number;
  height: number;
  frames: number;
  seconds: number;
  node: string | null;
  output: string | null;
  url: string;
  thumbnail: string;
}

/** The last event of a run. */
export interface RunFinished {
  event: "run_finished";
  status: "cancelled" | "done" | "failed";
  seconds: number;
  run: string;
}

/** Runs, the newest first. `next` is the value of `before` for the following page; None at the end. */
export interface RunPage {
  runs: Run[];
  total: number;
  next: string | null;
}

/** A run was taken out of the history. */
export interface RunRemoved {
  event: "run_removed";
  id: string;
}

/** `nodes` are the ids of all nodes of the graph, subgraphs inlined. */
export interface RunStarted {
  event: "run_started";
  nodes: string[];
  run: string;
}

/**
 * `revision` is the one that was edited: 0 for a new workflow. Another one on disk is a conflict (409).
 *
 * An `autosave` takes the place of the autosave before it, but leaves one every five minutes.
 * `draft` says of a new one that it has no name yet: it is listed among the drafts, until it is renamed.
 */
export interface SaveBody {
  document: WorkflowDocument;
  revision: number;
  message?: string;
  autosave?: boolean;
  draft?: boolean;
}

/** So many of so many models were looked at. */
export interface ScanProgress {
  done: number;
  total: number;
}

/** The start of a random sequence: a whole number from 0 to 2^64 - 1, with a dice beside it. */
export interface Seed {
  widget: "seed";
  group: string;
  advanced: boolean;
  shown_if: { [key: string]: unknown };
}

/** `digest` names a PNG as large as the image: white where the thing is, else black. */
export interface Segment {
  digest: string;
  width: number;
  height: number;
}

/**
 * `image` is a file of the input folder, `point` x and y in its pixels, from the upper left.
 *
 * `model` is a SAM or SAM 2; without one, segments are found by colours and edges, and a larger `scale` makes them
 * larger.
 */
export interface SegmentBody {
  image: string;
  point: [number, number];
  model?: string;
  scale?: number;
}

/**
 * What the user may change while the server runs; kept on disk.
 *
 * `max_deaths`: a run is given up after so many workers died of it (1 to 20; 1 fails it at the first death).
 * `checkpoint_seconds`: how often long nodes keep their state (0 is every step). `cancel_grace`: seconds after which
 * a worker that does not stop is ended. `history_limit`: ended runs kept. `trash_days`: how long outputs that were
 * thrown away are kept (0: until the trash is emptied). `spread`: workers that have nothing to do help with what a run
 * can compute at the same time. `editor` is the editor's own, up to 64 KiB.
 */
export interface Settings {
  max_deaths: number;
  checkpoint_seconds: number;
  cancel_grace: number;
  history_limit: number;
  trash_days: number;
  spread: boolean;
  editor: { [key: string]: unknown };
}

/** Only what is given is changed. */
export interface SettingsBody {
  max_deaths?: number | null;
  checkpoint_seconds?: number | null;
  cancel_grace?: number | null;
  history_limit?: number | null;
  trash_days?: number | null;
  spread?: boolean | null;
  editor?: { [key: string]: unknown } | null;
}

/**
 * The state of the shared tier. Counts are those of all processes of this machine since its cache was made.
 *
 * `waiting` results have still to be sent, `lost` were given up (too many waited, or they were gone from the disk
 * before), `large` are above the budget of an entry, `refused` entries were not what the team has signed. `trouble`
 * says why the bucket could not be used last; empty when all is well.
 */
export interface SharedInfo {
  url: string;
  hits: number;
  misses: number;
  refused: number;
  bytes_down: number;
  bytes_up: number;
  sent: number;
  waiting: number;
  lost: number;
  large: number;
  trouble: string;
}

/**
 * A bounded number, dragged. The bounds are hard: `check` refuses what lies outside.
 *
 * `zero` is what the editor shows instead of 0, where that has a meaning of its own, such as "off".
 */
export interface Slider {
  widget: "slider";
  min: number;
  max: number;
  step: number;
  zero: string;
  group: string;
  advanced: boolean;
  shown_if: { [key: string]: unknown };
}

/**
 * The whole live state, for a client that has none or has fallen too far behind.
 *
 * `runs` are those that run, wait or are paused (the first 500), `nodes` the states of the nodes of the running ones.
 */
export interface Snapshot {
  event: "snapshot";
  runs: Run[];
  nodes: { [key: string]: { [key: string]: NodeState } };
  queue: QueueInfo;
  workers: WorkerInfo[];
}

/**
 * One of those voted on, by its values on the axes that are compared.
 *
 * `rating` is that of Bradley and Terry on Elo's scale (1000 is the mean, 400 more are ten times the odds); `low` to
 * `high` holds it with 95 % confidence.
 */
export interface Standing {
  name: string;
  rating: number;
  low: number;
  high: number;
  wins: number;
  losses: number;
  ties: number;
}

/** Where a round brush passed. `spots`: x, y and the radius there, one place after the other. */
export interface Stroke {
  kind: "stroke";
  spots: number[];
  color?: string | null;
}

/**
 * A run to be queued: a document, or the name of a saved or shipped workflow, with values for its inputs.
 *
 * `values` sets any port, by `node.port`; in the run they are among its `inputs`. `key` makes the request repeatable:
 * the same key gives the run that was accepted the first time. `checkpoint_seconds` overrides the server's setting.
 * `device` pins the run to a worker (`w2`), a device (`cuda:1`) or all devices of a kind (`cuda`).
 */
export interface SubmitBody {
  document?: WorkflowDocument;
  workflow?: string | null;
  inputs?: { [key: string]: unknown };
  values?: { [key: string]: unknown };
  targets?: string[] | null;
  force?: string[];
  name?: string;
  priority?: number;
  key?: string | null;
  checkpoint_seconds?: number | null;
  device?: string;
}

/** Versions, devices and memory, as they are now. `memory` and `free` are those of the machine, in bytes. */
export interface SystemAnswer {
  version: string;
  python: string;
  libraries: { [key: string]: string };
  platform: string;
  processors: number;
  memory: number;
  free: number;
  server_memory: number;
  folder: string | null;
  disk_free: number;
  uptime: number;
  devices: Device[];
  workers: WorkerInfo[];
}

/**
 * A workflow that comes with the program, and the heading that it is offered under: they come in that order.
 *
 * `image` is the address of a small WebP image, if there is one.
 */
export interface Template {
  name: string;
  title: string;
  description: string;
  nodes: number;
  image: string;
  group: string;
}

/**
 * What a shipped workflow takes on this machine.
 *
 * `models` are those that it names, the starter model among them, `extra` is the extra of the package that it needs;
 * what of both is not here is `missing`. `seconds` is what it took when it ran here as it is, so that all of it is
 * cached now; None before. `steps` are the most sampling steps that one image takes; 0 where nothing is sampled, or
 * where they are not typed in.
 */
export interface TemplateCost {
  name: string;
  models: string[];
  extra: string;
  missing: string[];
  seconds: number | null;
  steps: number;
}

/**
 * A line of text, or several.
 *
 * `prompt` turns on the helpers for writing prompts. The state of the embeddings that a prompt names is part of the
 * cache key; `scheduled` says that it may change from step to step (see `prompt_schedule`). `file_name` says that it
 * names files to save, and `model_name` a model to write, as `safelight.sdk.file_names` has it.
 */
export interface Text {
  widget: "text";
  multiline: boolean;
  placeholder: string;
  prompt: boolean;
  max_length: number;
  file_name: boolean;
  model_name: boolean;
  scheduled: boolean;
  group: string;
  advanced: boolean;
  shown_if: { [key: string]: unknown };
}

/**
 * What is said in a language: from the English text, as the catalogue and the templates have it, to the other.
 *
 * A text that is not there is shown in English.
 */
export interface TextsAnswer {
  language: string;
  texts: { [key: string]: string };
}

/** On or off. */
export interface Toggle {
  widget: "toggle";
  group: string;
  advanced: boolean;
  shown_if: { [key: string]: unknown };
}

/** The file as it lies in the input folder now, and the workflow that was in it. */
export interface Uploaded {
  file: FileInfo;
  document: WorkflowDocument | null;
}

/** A vote that is on disk. `made` is when. */
export interface Vote {
  id: string;
  left: number[];
  right: number[];
  preferred: "left" | "right" | "tie";
  made: number;
}

/** Which of two runs of a sweep is preferred. `left` and `right` are their places in the grid, as in `cell`. */
export interface VoteBody {
  left: number[];
  right: number[];
  preferred: "left" | "right" | "tie";
}

/** From the client: send previews of these runs (`["*"]`: of all) as binary frames; an empty list stops them. */
export interface Watch {
  message: "watch";
  previews: string[];
}

/** A worker became ready, died or was replaced. */
export interface WorkerChanged {
  event: "worker_changed";
  worker: WorkerInfo;
}

/**
 * A worker process. `state`: `starting`, `warming` (takes runs, libraries are still loading), `idle`, `busy`,
 * `dead`.
 *
 * `device` says what it computes on, `place` names that as torch does (`cpu`, `cuda:1`), `numerics` says all of it
 * that changes bits, `models` are the names of those it holds, `memory` is its resident memory in bytes; `cache` are
 * the bytes of results in it, `hits` and `misses` how often one that was kept could be read, and was gone, since the
 * process began.
 */
export interface WorkerInfo {
  id: string;
  state: "busy" | "dead" | "idle" | "starting" | "stopping" | "warming";
  device: string;
  place: string;
  models: string[];
  numerics: string;
  pid: number;
  run: string | null;
  memory: number;
  cache: number;
  hits: number;
  misses: number;
  started: number;
  runs: number;
  restarts: number;
  note: string;
}

/** A saved workflow; `document` is what `safelight run` takes as a file. */
export interface Workflow {
  name: string;
  revision: number;
  created: number;
  modified: number;
  description: string;
  nodes: number;
  title: string;
  draft: boolean;
  folder: string;
  starred: boolean;
  opened: number;
  document: WorkflowDocument;
}

/** A saved workflow has a new revision, or is gone (`revision` 0). */
export interface WorkflowChanged {
  event: "workflow_changed";
  name: string;
  revision: number;
}

/** A workflow as `safelight run` takes it as a file; `safelight check` says what is wrong with one. */
export type WorkflowDocument = object;

/**
 * A saved workflow without its content. `revision` counts from 1 and grows with each save.
 *
 * A `draft` was saved by an editor before anybody named it: `name` is a key, and `title` is what its document calls
 * itself. Renaming a draft makes it a workflow.
 * `folder` is where it is listed, as `portraits/night` (empty: at the top); names are one of a kind over all folders.
 * `opened` is when an editor opened it last, in seconds since 1970 (0: never).
 */
export interface WorkflowInfo {
  name: string;
  revision: number;
  created: number;
  modified: number;
  description: string;
  nodes: number;
  title: string;
  draft: boolean;
  folder: string;
  starred: boolean;
  opened: number;
}

/** Every route: its method and address, what is sent and what comes back. */
export interface Routes {
  /** All nodes, packs and rules of connecting. */
  "GET /catalogue": {
    query: undefined;
    body: undefined;
    answer: CatalogueAnswer;
  };
  /** What a node does, as a small image with an example inside. */
  "GET /catalogue/images/{name}": {
    query: undefined;
    body: undefined;
    answer: Blob;
  };
  /** Names and help of nodes in a language. */
  "GET /texts": {
    query: { language: string };
    body: undefined;
    answer: TextsAnswer;
  };
  /** Every problem of a document. */
  "POST /check": {
    query: undefined;
    body: CheckBody;
    answer: CheckAnswer;
  };
  /** Write it for ComfyUI. */
  "POST /convert": {
    query: undefined;
    body: ConvertBody;
    answer: ConvertAnswer;
  };
  /** What running a document now would do. */
  "POST /plan": {
    query: undefined;
    body: PlanBody;
    answer: PlanAnswer;
  };
  /** Accept a run. */
  "POST /runs": {
    query: undefined;
    body: SubmitBody;
    answer: Run;
  };
  /** History with search. */
  "GET /runs": {
    query: { status?: string; search?: string; workflow?: string; batch?: string; before?: string; limit?: number };
    body: undefined;
    answer: RunPage;
  };
  /** One run. */
  "GET /runs/{id}": {
    query: undefined;
    body: undefined;
    answer: RunDetail;
  };
  /** Rename or move a waiting run. */
  "PATCH /runs/{id}": {
    query: undefined;
    body: EditRunBody;
    answer: Run;
  };
  /** Take a run out of the list. */
  "DELETE /runs/{id}": {
    query: undefined;
    body: undefined;
    answer: Done;
  };
  /** What it runs. */
  "GET /runs/{id}/document": {
    query: undefined;
    body: undefined;
    answer: WorkflowDocument;
  };
  /** Problems with tracebacks. */
  "GET /runs/{id}/details": {
    query: undefined;
    body: undefined;
    answer: RunDetails;
  };
  /** What happened in it, as text. */
  "GET /runs/{id}/log": {
    query: undefined;
    body: undefined;
    answer: Blob;
  };
  /** Stop a run. */
  "POST /runs/{id}/cancel": {
    query: undefined;
    body: CancelBody | undefined;
    answer: Run;
  };
  /** Pause a run; what is done is kept. */
  "POST /runs/{id}/pause": {
    query: undefined;
    body: undefined;
    answer: Run;
  };
  /** Let a paused run go on. */
  "POST /runs/{id}/resume": {
    query: undefined;
    body: undefined;
    answer: Run;
  };
  /** The same again, as a new run. */
  "POST /runs/{id}/retry": {
    query: undefined;
    body: undefined;
    answer: Run;
  };
  /** The queue. */
  "GET /queue": {
    query: undefined;
    body: undefined;
    answer: QueueAnswer;
  };
  /** Start nothing new. */
  "POST /queue/pause": {
    query: undefined;
    body: undefined;
    answer: QueueAnswer;
  };
  /** Go on. */
  "POST /queue/resume": {
    query: undefined;
    body: undefined;
    answer: QueueAnswer;
  };
  /** Cancel everything queued. */
  "POST /queue/clear": {
    query: undefined;
    body: undefined;
    answer: Done;
  };
  /** Accept a sweep. */
  "POST /runs/batch": {
    query: undefined;
    body: BatchBody;
    answer: BatchAnswer;
  };
  /** A sweep as a grid. */
  "GET /batches/{batch}": {
    query: undefined;
    body: undefined;
    answer: Batch;
  };
  /** A sweep as a table. */
  "GET /batches/{batch}/table.csv": {
    query: undefined;
    body: undefined;
    answer: Blob;
  };
  /** Cancel what has not ended of a sweep. */
  "POST /batches/{batch}/cancel": {
    query: undefined;
    body: undefined;
    answer: Done;
  };
  /** Repeat what failed of a sweep. */
  "POST /batches/{batch}/retry": {
    query: undefined;
    body: undefined;
    answer: BatchAnswer;
  };
  /** Prefer one of two runs. */
  "POST /batches/{batch}/votes": {
    query: undefined;
    body: VoteBody;
    answer: Vote;
  };
  /** Votes and ratings. */
  "GET /batches/{batch}/votes": {
    query: { by?: string };
    body: undefined;
    answer: Preferences;
  };
  /** Take a vote back. */
  "DELETE /batches/{batch}/votes/{vote}": {
    query: undefined;
    body: undefined;
    answer: Done;
  };
  /** The votes. */
  "GET /batches/{batch}/votes.csv": {
    query: { by?: string };
    body: undefined;
    answer: Blob;
  };
  /** The ratings. */
  "GET /batches/{batch}/preferences.csv": {
    query: { by?: string };
    body: undefined;
    answer: Blob;
  };
  /** Saved workflows. */
  "GET /workflows": {
    query: { search?: string; drafts?: boolean };
    body: undefined;
    answer: WorkflowInfo[];
  };
  /** One with its document. */
  "GET /workflows/{name}": {
    query: undefined;
    body: undefined;
    answer: Workflow;
  };
  /** Save. */
  "PUT /workflows/{name}": {
    query: undefined;
    body: SaveBody;
    answer: WorkflowInfo;
  };
  /** Say where it is listed. */
  "PATCH /workflows/{name}": {
    query: undefined;
    body: PlaceBody;
    answer: WorkflowInfo;
  };
  /** Delete. */
  "DELETE /workflows/{name}": {
    query: { revision?: number };
    body: undefined;
    answer: Done;
  };
  /** Rename. */
  "POST /workflows/{name}/rename": {
    query: undefined;
    body: RenameBody;
    answer: WorkflowInfo;
  };
  /** Its history. */
  "GET /workflows/{name}/revisions": {
    query: undefined;
    body: undefined;
    answer: RevisionInfo[];
  };
  /** An earlier state. */
  "GET /workflows/{name}/revisions/{number}": {
    query: undefined;
    body: undefined;
    answer: Workflow;
  };
  /** What ships with the program. */
  "GET /templates": {
    query: undefined;
    body: undefined;
    answer: Template[];
  };
  /** What each takes here. */
  "GET /template-costs": {
    query: undefined;
    body: undefined;
    answer: TemplateCost[];
  };
  /** One of them. */
  "GET /templates/{name}": {
    query: undefined;
    body: undefined;
    answer: WorkflowDocument;
  };
  /** What it makes, in small. */
  "GET /templates/{name}/image": {
    query: undefined;
    body: undefined;
    answer: Blob;
  };
  /** Values for nodes, under a name. */
  "GET /presets": {
    query: undefined;
    body: undefined;
    answer: Preset[];
  };
  /** Keep one. */
  "PUT /presets": {
    query: undefined;
    body: PresetBody;
    answer: Preset;
  };
  /** Rename; for new nodes. */
  "PATCH /presets/{preset}": {
    query: undefined;
    body: PresetChange;
    answer: Preset;
  };
  /** Delete, and give what it was. */
  "DELETE /presets/{preset}": {
    query: undefined;
    body: undefined;
    answer: Preset;
  };
  /** What runs made. */
  "GET /gallery": {
    query: { search?: string; node?: string; model?: string; workflow?: string; batch?: string; run?: string; since?: number; until?: number; trash?: boolean; digest?: string; rating?: number; tag?: string; board?: string; offset?: number; limit?: number };
    body: undefined;
    answer: GalleryPage;
  };
  /** Rate, tag, lay on boards. */
  "PATCH /gallery": {
    query: undefined;
    body: MarkBody;
    answer: Changed;
  };
  /** Collections of outputs. */
  "GET /boards": {
    query: undefined;
    body: undefined;
    answer: Board[];
  };
  /** Make one. */
  "POST /boards": {
    query: undefined;
    body: BoardBody;
    answer: Board;
  };
  /** Rename. */
  "PATCH /boards/{board}": {
    query: undefined;
    body: BoardName;
    answer: Board;
  };
  /** Delete; what lay on it stays. */
  "DELETE /boards/{board}": {
    query: undefined;
    body: undefined;
    answer: Changed;
  };
  /** What can be looked for. */
  "GET /gallery/facets": {
    query: undefined;
    body: undefined;
    answer: FacetsAnswer;
  };
  /** Several outputs as one file. */
  "GET /gallery/zip": {
    query: { items: string };
    body: undefined;
    answer: Blob;
  };
  /** Throw outputs away. */
  "POST /gallery/trash": {
    query: undefined;
    body: ItemsBody;
    answer: Changed;
  };
  /** Take them back. */
  "POST /gallery/restore": {
    query: undefined;
    body: ItemsBody;
    answer: Changed;
  };
  /** Remove for good what is in the trash. */
  "POST /gallery/empty": {
    query: undefined;
    body: undefined;
    answer: Done;
  };
  /** One output with its parameters. */
  "GET /gallery/{item}": {
    query: undefined;
    body: undefined;
    answer: GalleryDetail;
  };
  /** Its workflow. */
  "GET /gallery/{item}/document": {
    query: undefined;
    body: undefined;
    answer: WorkflowDocument;
  };
  /** Files, newest first. */
  "GET /files/{folder}": {
    query: { search?: string; offset?: number; limit?: number };
    body: undefined;
    answer: FilePage;
  };
  /** Upload an image, a video, sound, a mesh or a text. */
  "POST /files/input": {
    query: { name: string };
    body: Blob;
    answer: Uploaded;
  };
  /** The bytes of a file. */
  "GET /files/{folder}/{name}": {
    query: undefined;
    body: undefined;
    answer: Blob;
  };
  /** Remove an upload; throw an output away. */
  "DELETE /files/{folder}/{name}": {
    query: undefined;
    body: undefined;
    answer: Done;
  };
  /** Bytes by digest. */
  "GET /blobs/{digest}": {
    query: undefined;
    body: undefined;
    answer: Blob;
  };
  /** A small image. */
  "GET /thumbnails/{digest}": {
    query: { size?: "1024" | "128" | "256" | "512" | "64" };
    body: undefined;
    answer: Blob;
  };
  /** The workflow in a file. */
  "POST /open": {
    query: { kind?: "a1111" | "comfyui" | "comfyui-api" | "draw-things" | "fooocus" | "invokeai" | "invokeai-graph" | "invokeai-settings" | "novelai" | "safelight" | "swarmui" | "" };
    body: Blob;
    answer: Opened;
  };
  /** The thing at a place of an image. */
  "POST /segments": {
    query: undefined;
    body: SegmentBody;
    answer: Segment;
  };
  /** Models that can be named. */
  "GET /models": {
    query: { search?: string; kind?: string; family?: string; usable?: "" | "false" | "true" };
    body: undefined;
    answer: ModelList;
  };
  /** One model. */
  "GET /models/{name}": {
    query: undefined;
    body: undefined;
    answer: ModelInfo;
  };
  /** Its image. */
  "GET /model-previews": {
    query: { name: string };
    body: undefined;
    answer: Blob;
  };
  /** Models whose files are equal. */
  "GET /model-duplicates": {
    query: undefined;
    body: undefined;
    answer: DuplicateList;
  };
  /** Models that a workflow lacks, and where they can be had. */
  "POST /model-missing": {
    query: undefined;
    body: MissingBody;
    answer: MissingList;
  };
  /** Downloads. */
  "GET /downloads": {
    query: undefined;
    body: undefined;
    answer: DownloadList;
  };
  /** Fetch a model. */
  "POST /downloads": {
    query: undefined;
    body: DownloadBody;
    answer: DownloadInfo;
  };
  /** Pause one. */
  "POST /downloads/{download}/pause": {
    query: undefined;
    body: undefined;
    answer: DownloadInfo;
  };
  /** Go on with one. */
  "POST /downloads/{download}/resume": {
    query: undefined;
    body: undefined;
    answer: DownloadInfo;
  };
  /** Stop and forget one. */
  "DELETE /downloads/{download}": {
    query: undefined;
    body: undefined;
    answer: Done;
  };
  /** Folders of models. */
  "GET /model-folders": {
    query: undefined;
    body: undefined;
    answer: FolderList;
  };
  /** Add one. */
  "POST /model-folders": {
    query: undefined;
    body: FolderBody;
    answer: ModelFolder;
  };
  /** Forget one. */
  "DELETE /model-folders/{tree}": {
    query: undefined;
    body: undefined;
    answer: Done;
  };
  /** Usage of the cache. */
  "GET /cache": {
    query: undefined;
    body: undefined;
    answer: CacheInfo;
  };
  /** Forget everything that was computed. */
  "POST /cache/clear": {
    query: undefined;
    body: undefined;
    answer: Done;
  };
  /** Versions, devices, memory, workers. */
  "GET /system": {
    query: undefined;
    body: undefined;
    answer: SystemAnswer;
  };
  /** Let workers give memory back. */
  "POST /system/free": {
    query: undefined;
    body: undefined;
    answer: Done;
  };
  /** Settings. */
  "GET /settings": {
    query: undefined;
    body: undefined;
    answer: Settings;
  };
  /** Change some. */
  "PATCH /settings": {
    query: undefined;
    body: SettingsBody;
    answer: Settings;
  };
}

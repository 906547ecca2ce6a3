// A script over @saintno/comfyui-sdk: arguments are the folder that it lies in, the server's address, a workflow, an image and the token.
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const [folder, url, workflow, upload, token] = process.argv.slice(2);
const sdk = createRequire(`${folder}/x.js`).resolve("@saintno/comfyui-sdk");
const { CallWrapper, ComfyApi, PromptBuilder } = await import(pathToFileURL(sdk.replace("index.cjs", "index.esm.js")));

const credentials = token ? { type: "bearer_token", token } : undefined;
const api = new ComfyApi(url, "a script", { credentials }).init();
await api.waitForReady();

const events = [];
async function run(nodes, seed = 5) {
  const prompt = new PromptBuilder(nodes, ["seed", "steps"], ["images"])
    .setInputNode("seed", "3.inputs.seed")
    .setInputNode("steps", "3.inputs.steps")
    .setOutputNode("images", "9")
    .input("seed", seed)
    .input("steps", 4);
  const told = { pending: 0, start: 0, progress: 0, finished: 0, failed: "" };
  events.push(told);
  const result = await new CallWrapper(api, prompt)
    .onPending(() => told.pending++)
    .onStart(() => told.start++)
    .onProgress(() => told.progress++)
    .onFinished(() => told.finished++)
    .onFailed((error) => (told.failed = String(error)))
    .run();
  if (!result) return [];
  const images = [];
  for (const image of result.images.images) {
    const blob = await api.getImage(image);
    images.push(Buffer.from(await blob.arrayBuffer()).toString("base64"));
  }
  return images;
}

const nodes = JSON.parse(readFileSync(workflow, "utf8"));
const first = await run(nodes);
const kept = await api.uploadImage(readFileSync(upload), "from_sdk.png");
nodes["12"] = { class_type: "LoadImage", inputs: { image: kept.info.filename } };
nodes["5"] = { class_type: "VAEEncode", inputs: { pixels: ["12", 0], vae: ["4", 2] } };
nodes["3"].inputs.denoise = 0.6;
const second = await run(nodes);
// One that nothing is known of: the others may be cached.
const fresh = await run(nodes, Date.now() % 1e9);
const wrong = structuredClone(nodes);
wrong["8"].class_type = "Made Up";
const refused = await run(wrong);

const told = {
  first,
  second,
  fresh,
  refused,
  events,
  checkpoints: await api.getCheckpoints(),
  samplers: await api.getSamplerInfo(),
  queue: await settled(),
  devices: (await api.getSystemStats()).devices.length,
};
// The last prompt is told to be done before its turn in the queue ends.
async function settled() {
  for (let turn = 0; turn < 100; turn++) {
    const queue = await api.getQueue();
    if (!queue.queue_running.length) return queue;
    await new Promise((ready) => setTimeout(ready, 100));
  }
  return api.getQueue();
}

process.stdout.write(JSON.stringify(told), () => process.exit(0));

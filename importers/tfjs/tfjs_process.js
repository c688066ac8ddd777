// Runs a TensorFlow.js model in TensorFlow.js, in Node, on its CPU backend: the witness of the parity certificate.
//
// node tfjs_process.js MODEL.json FEEDS.json WANTED.json RESULTS.json    (packages are found by NODE_PATH)
//
// FEEDS: [name, {shape, type, data (base64)}] of every input, in order; WANTED: what to compute, of a layers-model [layer, node, index], of a
// graph-model names of tensors; RESULTS: {version, values: number in WANTED -> {shape, type, data}}.
"use strict";

const fs = require("fs");
const path = require("path");

const MISSING = 4; // exit code where the packages are not there
const REFUSED = 3; // where TensorFlow.js raises
const ARRAYS = { float32: Float32Array, int32: Int32Array, bool: Uint8Array };

function packages() {
  try {
    const tf = require("@tensorflow/tfjs-core");
    require("@tensorflow/tfjs-backend-cpu");
    return { tf, layers: require("@tensorflow/tfjs-layers"), converter: require("@tensorflow/tfjs-converter") };
  } catch (error) {
    process.stderr.write(String(error.message).split("\n")[0]);
    return process.exit(MISSING);
  }
}

// The model and its weights from disk, as a handler that TensorFlow.js loads from.
function fromDisk(file) {
  const model = JSON.parse(fs.readFileSync(file, "utf8"));
  const shards = model.weightsManifest.flatMap((group) => group.paths);
  const bytes = Buffer.concat(shards.map((name) => fs.readFileSync(path.join(path.dirname(file), name))));
  const weightData = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  const weightSpecs = model.weightsManifest.flatMap((group) => group.weights);
  return { ...model, weightSpecs, weightData };
}

function tensor(tf, stored) {
  const bytes = Buffer.from(stored.data, "base64");
  const copy = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
  return tf.tensor(new ARRAYS[stored.type](copy), stored.shape, stored.type);
}

function plain(value) {
  const data = value.dataSync();
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength);
  return { shape: value.shape, type: value.dtype, data: bytes.toString("base64") };
}

async function runLayers(layers, artifacts, feeds, wanted) {
  const model = await layers.loadLayersModel({ load: async () => artifacts });
  const found = wanted.map(([name, node, index]) => {
    const layer = model.layers.find((candidate) => candidate.name === name);
    return layer?.inboundNodes[node]?.outputTensors[index];
  });
  const known = [...found.keys()].filter((number) => found[number] !== undefined);
  const probe = layers.model({ inputs: model.inputs, outputs: known.map((number) => found[number]) });
  const values = [probe.predict(feeds.map(([, value]) => value))].flat();
  return known.map((number, at) => [number, values[at]]);
}

async function runGraph(converter, artifacts, feeds, wanted) {
  const model = await converter.loadGraphModel({ load: async () => artifacts });
  const nodes = model.executor.graph.nodes;
  const known = [...wanted.keys()].filter((number) => wanted[number].split(":")[0] in nodes);
  const values = [await model.executeAsync(Object.fromEntries(feeds), known.map((number) => wanted[number]))].flat();
  return known.map((number, at) => [number, values[at]]);
}

async function main([file, feedsFile, wantedFile, resultsFile]) {
  const { tf, layers, converter } = packages();
  await tf.setBackend("cpu");
  const artifacts = fromDisk(file);
  const stored = JSON.parse(fs.readFileSync(feedsFile, "utf8"));
  const feeds = stored.map(([name, value]) => [name, tensor(tf, value)]);
  const wanted = JSON.parse(fs.readFileSync(wantedFile, "utf8"));
  const isGraph = "node" in artifacts.modelTopology;
  const run = isGraph ? runGraph.bind(null, converter) : runLayers.bind(null, layers);
  const values = await run(artifacts, feeds, wanted);
  const result = { version: tf.version_core, values: Object.fromEntries(values.map(([n, value]) => [n, plain(value)])) };
  fs.writeFileSync(resultsFile, JSON.stringify(result));
}

main(process.argv.slice(2)).catch((error) => {
  process.stderr.write(String(error.message).slice(0, 2000));
  process.exit(REFUSED);
});

// Builds layers-models in TensorFlow.js, gives them random weights, saves them and what they make of an input.
//
// node tfjs_networks.js CASES.json    (packages are found by NODE_PATH)
//
// CASES: [{folder, architecture (Keras' JSON), shape, integers (whether the input is whole numbers below it, or 0)}];
// FOLDER then has model.json, weights.bin and case.json: {input, output}, or {error} where TensorFlow.js refuses.
"use strict";

const fs = require("fs");
const path = require("path");
const tf = require("@tensorflow/tfjs-core");
const layers = require("@tensorflow/tfjs-layers");
require("@tensorflow/tfjs-backend-cpu");

function plain(value) {
  return { shape: value.shape, data: Array.from(value.dataSync()) };
}

// Around 0, but variances.
function weightsLike(value, name, seed) {
  const least = name.includes("variance") ? 0.1 : -0.5;
  return tf.randomUniform(value.shape, least, least + 1, "float32", seed);
}

async function save(model, folder) {
  const handler = tf.io.withSaveHandler(async (artifacts) => {
    const { weightData, weightSpecs, ...rest } = artifacts;
    const bytes = Buffer.from(tf.io.CompositeArrayBuffer.join(weightData));
    fs.writeFileSync(path.join(folder, "weights.bin"), bytes);
    const weightsManifest = [{ paths: ["weights.bin"], weights: weightSpecs }];
    fs.writeFileSync(path.join(folder, "model.json"), JSON.stringify({ ...rest, weightsManifest }));
    return { modelArtifactsInfo: { dateSaved: new Date(), modelTopologyType: "JSON" } };
  });
  await model.save(handler);
}

async function write({ folder, architecture, shape, integers }, seed) {
  const model = await layers.loadLayersModel({ load: async () => ({ modelTopology: architecture }) }, { strict: false });
  model.layers.forEach((layer, at) => {
    const names = layer.weights.map((weight) => weight.name);
    layer.setWeights(layer.getWeights().map((weight, n) => weightsLike(weight, names[n], 7 * seed + 3 * at + n)));
  });
  const noise = tf.randomNormal(shape, 0, 1, "float32", seed + 1);
  const input = integers ? tf.randomUniform(shape, 0, integers, "int32", seed + 1) : noise;
  const output = model.predict(input);
  await save(model, folder);
  return { input: plain(input), output: plain([output].flat()[0]) };
}

async function main(file) {
  await tf.setBackend("cpu");
  const cases = JSON.parse(fs.readFileSync(file, "utf8"));
  for (const [seed, one] of cases.entries()) {
    const result = await write(one, seed).catch((error) => ({ error: String(error.message) }));
    fs.writeFileSync(path.join(one.folder, "case.json"), JSON.stringify(result));
  }
}

main(process.argv[2]);

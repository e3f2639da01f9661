// SPDX-License-Identifier: GPL-2.0-or-later
// Runs TensorFlow Lite models in the WebAssembly build of the npm package @tensorflow/tfjs-tflite: an executor that shares nothing
// with jf-model. The package's own API wants a browser; its raw Emscripten module does not. One JSON request a line on standard
// input, one answer a line: {"model": base64, "inputs": [base64, ...], "outputs": [subgraph tensor, ...]|absent, "kernels": bool}
// -> {"outputs": [{"shape", "type", "data": base64}, ...], "kernels": [...]} or {"error": text}. "outputs" rewrites the subgraph's
// list of outputs in place, one tensor a run, so that any tensor inside the model can be read.
"use strict";
const fs = require("fs");
const path = require("path");
const readline = require("readline");
const vm = require("vm");

const home = process.argv[2]; // a directory with node_modules
const simd = process.argv[3] !== "plain";
const wasm = path.join(home, "node_modules/@tensorflow/tfjs-tflite/wasm");
const name = simd ? "tflite_web_api_cc_simd" : "tflite_web_api_cc";

// Where the list of outputs of subgraph 0 lies in a TFLite flatbuffer: vtable slots Model.subgraphs 2, SubGraph.outputs 2.
function outputsOffset(b) {
    const field = (table, slot) => {
        const vtable = table - b.readInt32LE(table);
        const at = 4 + 2 * slot;
        if (at >= b.readUInt16LE(vtable)) return 0;
        const off = b.readUInt16LE(vtable + at);
        return off ? table + off : 0;
    };
    const follow = (at) => at + b.readUInt32LE(at);
    const subgraphs = follow(field(follow(0), 2));
    const graph = follow(subgraphs + 4);
    return follow(field(graph, 2)); // the vector: count, then int32 each
}

function run(lib, request) {
    const model = Buffer.from(request.model, "base64");
    const outputs = [];
    let kernels = [];
    const wanted = request.outputs === undefined ? [null] : request.outputs;
    for (const tensor of wanted) {
        if (tensor !== null) {
            const at = outputsOffset(model);
            if (model.readUInt32LE(at) !== 1) throw new Error("the subgraph has more than one output");
            model.writeInt32LE(tensor, at + 4);
        }
        const p = lib._malloc(model.length);
        lib.HEAPU8.set(model, p);
        const made = lib.TFLiteWebModelRunner.CreateFromBufferAndOptions(p, model.length,
            {numThreads: 1, enableProfiling: !!request.kernels, maxProfilingBufferEntries: request.kernels ? 4096 : 0});
        if (!made.ok()) {
            const text = made.errorMessage ? made.errorMessage() : "refused";
            made.delete();
            lib._free(p);
            throw new Error("model: " + text);
        }
        const runner = made.value();
        try {
            const ins = runner.GetInputs();
            if (ins.size() !== request.inputs.length) throw new Error("the model has " + ins.size() + " inputs");
            for (let i = 0; i < ins.size(); i++) {
                const data = ins.get(i).data();
                const bytes = Buffer.from(request.inputs[i], "base64");
                if (bytes.length !== data.byteLength) throw new Error("input " + i + ": " + data.byteLength + " bytes expected");
                new Uint8Array(data.buffer, data.byteOffset, data.byteLength).set(bytes);
            }
            if (!runner.Infer()) throw new Error("inference failed");
            const outs = runner.GetOutputs();
            for (let i = 0; i < outs.size(); i++) {
                const t = outs.get(i);
                const data = t.data();
                outputs.push({shape: String(t.shape), type: String(t.dataType),
                    data: Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString("base64")});
            }
            if (request.kernels) kernels = profile(runner);
        } finally {
            if (runner.Cleanup) runner.Cleanup();
            made.delete();
            lib._free(p);
        }
    }
    return {outputs, kernels};
}

function profile(runner) {
    const list = [];
    const entries = runner.GetProfilingResults();
    for (let i = 0; i < entries.size(); i++) {
        const e = entries.get(i);
        list.push({type: e.nodeType, exec: e.nodeExecType});
    }
    return list;
}

async function main() {
    vm.runInThisContext(fs.readFileSync(path.join(wasm, name + ".js"), "utf8"), {filename: name + ".js"});
    const quiet = () => {};
    const lib = await globalThis.tflite_web_api_ModuleFactory({
        wasmBinary: fs.readFileSync(path.join(wasm, name + ".wasm")),
        locateFile: (f) => path.join(wasm, f), print: quiet, printErr: quiet,
    });
    for await (const line of readline.createInterface({input: process.stdin})) {
        let answer;
        try {
            answer = run(lib, JSON.parse(line));
        } catch (e) {
            answer = {error: String(e && e.message ? e.message : e)};
        }
        process.stdout.write(JSON.stringify(answer) + "\n");
    }
}

main().catch((e) => {
    process.stderr.write(String(e && e.stack ? e.stack : e) + "\n");
    process.exit(1);
});

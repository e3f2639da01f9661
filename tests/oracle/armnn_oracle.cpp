// SPDX-License-Identifier: GPL-2.0-or-later
// Runs int8 TensorFlow Lite models with the reference backend of Arm NN (Debian's libarmnn 20.08): an executor that shares nothing
// with jf-model. One request a line on standard input: "MODEL.tflite INPUT.bin OUTPUT.bin"; one answer a line: "ok" or "error TEXT".
// One input, one output, int8.
#include <armnn/ArmNN.hpp>
#include <armnnTfLiteParser/ITfLiteParser.hpp>

#include <fstream>
#include <iostream>
#include <iterator>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

static void run(armnn::IRuntime &runtime, const std::string &model, const std::string &in_path, const std::string &out_path)
{
    auto parser = armnnTfLiteParser::ITfLiteParser::Create();
    armnn::INetworkPtr network = parser->CreateNetworkFromBinaryFile(model.c_str());
    auto ins = parser->GetSubgraphInputTensorNames(0), outs = parser->GetSubgraphOutputTensorNames(0);
    if (ins.size() != 1 || outs.size() != 1)
        throw std::runtime_error("one input and one output expected");
    auto in = parser->GetNetworkInputBindingInfo(0, ins[0]);
    auto out = parser->GetNetworkOutputBindingInfo(0, outs[0]);
    std::ifstream f(in_path, std::ios::binary);
    std::vector<char> data((std::istreambuf_iterator<char>(f)), std::istreambuf_iterator<char>());
    if (data.size() != in.second.GetNumBytes())
        throw std::runtime_error("the input has " + std::to_string(in.second.GetNumBytes()) + " bytes");
    std::vector<char> result(out.second.GetNumBytes());
    auto optimized = armnn::Optimize(*network, {armnn::Compute::CpuRef}, runtime.GetDeviceSpec());
    armnn::NetworkId id;
    std::string text;
    if (runtime.LoadNetwork(id, std::move(optimized), text) != armnn::Status::Success)
        throw std::runtime_error(text);
    armnn::InputTensors inputs{{in.first, armnn::ConstTensor(in.second, data.data())}};
    armnn::OutputTensors outputs{{out.first, armnn::Tensor(out.second, result.data())}};
    armnn::Status status = runtime.EnqueueWorkload(id, inputs, outputs);
    runtime.UnloadNetwork(id);
    if (status != armnn::Status::Success)
        throw std::runtime_error("the workload failed");
    std::ofstream g(out_path, std::ios::binary);
    g.write(result.data(), static_cast<std::streamsize>(result.size()));
    if (!g)
        throw std::runtime_error("cannot write " + out_path);
}

int main()
{
    armnn::IRuntimePtr runtime = armnn::IRuntime::Create(armnn::IRuntime::CreationOptions());
    std::string line;
    while (std::getline(std::cin, line)) {
        std::istringstream words(line);
        std::string model, in, out;
        words >> model >> in >> out;
        try {
            run(*runtime, model, in, out);
            std::cout << "ok" << std::endl;
        } catch (const std::exception &e) {
            std::string text = e.what();
            for (char &c : text)
                if (c == '\n')
                    c = ' ';
            std::cout << "error " << text << std::endl;
        }
    }
    return 0;
}

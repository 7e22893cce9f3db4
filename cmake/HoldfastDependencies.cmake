# Foreign libraries as targets. Their headers count as system headers: no warnings from them.
find_package(Threads REQUIRED)
find_package(OpenSSL 3 REQUIRED)
find_package(CURL REQUIRED)
find_package(ZLIB REQUIRED)
find_package(spdlog REQUIRED)
find_package(PkgConfig REQUIRED)
if(HF_TESTS)
  find_package(GTest REQUIRED)
endif()

# libllama and ggml: taken from pkg-config names or, where absent, from the linker's path.
add_library(hf_llama INTERFACE)
find_library(HF_LLAMA_LIBRARY llama REQUIRED)
find_library(HF_GGML_LIBRARY ggml REQUIRED)
find_library(HF_GGML_BASE_LIBRARY ggml-base REQUIRED)
add_library(hf_llama_so UNKNOWN IMPORTED)
set_target_properties(hf_llama_so PROPERTIES IMPORTED_LOCATION ${HF_LLAMA_LIBRARY})
add_library(hf_ggml_so UNKNOWN IMPORTED)
set_target_properties(hf_ggml_so PROPERTIES IMPORTED_LOCATION ${HF_GGML_LIBRARY})
add_library(hf_ggml_base_so UNKNOWN IMPORTED)
set_target_properties(hf_ggml_base_so PROPERTIES IMPORTED_LOCATION ${HF_GGML_BASE_LIBRARY})
target_link_libraries(hf_llama INTERFACE hf_llama_so hf_ggml_so hf_ggml_base_so)

find_path(HF_MINJA_INCLUDE minja/chat-template.hpp REQUIRED)
find_path(HF_NLOHMANN_INCLUDE nlohmann/json.hpp REQUIRED)
add_library(hf_minja INTERFACE)
target_include_directories(hf_minja SYSTEM INTERFACE ${HF_MINJA_INCLUDE})
add_library(hf_nlohmann INTERFACE)
target_include_directories(hf_nlohmann SYSTEM INTERFACE ${HF_NLOHMANN_INCLUDE})

find_path(HF_GLAZE_INCLUDE glaze/glaze.hpp REQUIRED)
add_library(hf_glaze INTERFACE)
target_include_directories(hf_glaze SYSTEM INTERFACE ${HF_GLAZE_INCLUDE})

find_path(HF_BOOST_INCLUDE boost/beast.hpp REQUIRED)
add_library(hf_boost INTERFACE)
target_include_directories(hf_boost SYSTEM INTERFACE ${HF_BOOST_INCLUDE})

pkg_check_modules(LIBZIP REQUIRED IMPORTED_TARGET libzip)
find_path(HF_CLI11_INCLUDE CLI/CLI.hpp REQUIRED)
add_library(hf_cli11 INTERFACE)
target_include_directories(hf_cli11 SYSTEM INTERFACE ${HF_CLI11_INCLUDE})

# Line editing in `holdfast chat` (BSD licence).
pkg_check_modules(LIBEDIT REQUIRED IMPORTED_TARGET libedit)

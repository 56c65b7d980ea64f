// Where the servers of a service are, by its route file (docs/routes.md), read again when the file changes. The agent's library for
// Rust checks everything in these files; this takes what it needs, and keeps the last list that had a server.

#ifndef FEED_ROUTES_HPP
#define FEED_ROUTES_HPP

#include <sys/stat.h>

#include <cstdint>
#include <fstream>
#include <map>
#include <mcrpc_channel.hpp>
#include <string>
#include <vector>

namespace feed {

class Routes {
public:
    Routes(std::string root, const std::string &idc, const std::string &service)
        : places_{root + "/route/" + idc + "/" + service + "_route.conf", root + "/route/global/" + service + "_route.conf"} {}

    // The number of the service; 0 if nobody says.
    uint32_t service_id() const { return service_id_; }
    const std::vector<mcrpc::EndpointSpec> &servers() const { return servers_; }

    // Whether there is another list than before.
    bool look() {
        for (const std::string &path : places_) {
            struct stat file {};
            if (stat(path.c_str(), &file) != 0) continue;
            const Version version{path, file.st_ino, file.st_mtim.tv_sec, file.st_mtim.tv_nsec, file.st_size};
            if (version == version_ || !read(path)) return false;
            version_ = version;
            return true;
        }
        return false;
    }

private:
    using Version = std::tuple<std::string, ino_t, time_t, long, off_t>;

    bool read(const std::string &path) {
        std::map<std::string, std::map<std::string, std::string>> sections;
        std::ifstream file(path);
        std::string section;
        for (std::string line; std::getline(file, line);) {
            line = trimmed(line);
            const size_t equals = line.find('=');
            if (line.empty() || line[0] == ';' || line[0] == '#') continue;
            if (line.front() == '[') section = line.substr(1, line.find(']') - 1);
            if (equals != std::string::npos) sections[section][trimmed(line.substr(0, equals))] = trimmed(line.substr(equals + 1));
        }
        const auto service_id = static_cast<uint32_t>(std::strtoul(sections["Service"]["Id"].c_str(), nullptr, 10));
        std::vector<mcrpc::EndpointSpec> servers;
        for (auto &[name, keys] : sections) {
            if (name.rfind("Server", 0) != 0 || keys.count("IP") == 0) continue;
            const std::string &ip = keys["IP"];
            const std::string address = (ip.find(':') == std::string::npos ? ip : "[" + ip + "]") + ":" + keys["Port"];
            mcrpc::Endpoint endpoint;
            if (!mcrpc::Channel::endpoint(address, service_id, endpoint).ok()) return false;
            mcrpc::EndpointSpec &spec = servers.emplace_back(endpoint);
            if (keys.count("Weight") > 0) spec.weight = static_cast<uint16_t>(std::strtoul(keys["Weight"].c_str(), nullptr, 10));
        }
        if (servers.empty()) return false;
        service_id_ = service_id;
        servers_ = std::move(servers);
        return true;
    }

    static std::string trimmed(const std::string &text) {
        const size_t begin = text.find_first_not_of(" \t\r");
        return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(" \t\r") + 1 - begin);
    }

    const std::vector<std::string> places_;
    Version version_{};
    uint32_t service_id_ = 0;
    std::vector<mcrpc::EndpointSpec> servers_{};
};

}  // namespace feed

#endif

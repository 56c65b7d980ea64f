// The book of a brpc server: who waits and who runs, as libmcrpc's admission wants to know it.
//
// brpc has no queue that one could see. There are two that one cannot: requests that were read and wait for a bthread to look at
// them, and handlers beyond what the service can work on at a time, which only make each other slower. Both are kept here as
// one queue, in the order of arrival:
//
//   - Of `workers` handlers at a time each runs; those beyond count as queued until one of the others ends.
//   - Who waited for w before its turn to be seen leaves as many behind it as arrive in w (Little's law): it stays queued in
//     the book for another w, so that the book's queue is as long as the one that cannot be seen.
//
// brpc says that a request has ended, but not which. The book needs no names: the oldest one has ended. Sums are right, and
// single times nearly.
#ifndef MCRPC_BRPC_BOOK_H
#define MCRPC_BRPC_BOOK_H

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <deque>

#include <mcrpc.hpp>

namespace mcrpc_brpc {

// Not synchronised: under the lock of ServerAdmission.
class Book {
public:
    Book() = default;
    Book(const mcrpc::Admission &admission, std::size_t workers) : admission_(admission), workers_(workers) {}

    // A request that was read `waited_ns` ago wants to be run. OK: run it, and call leave() at its end.
    mcrpc::Status enter(const mcrpc::Request &request, std::uint64_t waited_ns, std::uint64_t now_ns) {
        settle(now_ns);
        const mcrpc::Status status = admission_.admit(0, request, now_ns);
        if (!status.ok()) return status;
        waited_ns = std::min(waited_ns, LONGEST_LAG_NS);
        if (waited_ns >= SHORTEST_LAG_NS || running_.size() >= workers_) {
            waiting_.push_back({now_ns, waited_ns < SHORTEST_LAG_NS ? now_ns : now_ns + waited_ns, 0});
            return status;
        }
        const std::uint64_t read_ns = now_ns - std::min(waited_ns, now_ns);
        const mcrpc::Status verdict = admission_.dequeued(0, read_ns, request.deadline_ns, now_ns);
        if (verdict.ok()) running_.push_back(now_ns);
        return verdict;
    }

    // Some request that enter() let run has ended.
    void leave(std::uint64_t now_ns) {
        settle(now_ns);
        if (!running_.empty()) {
            end(running_.front(), now_ns);
            running_.pop_front();
        } else if (ended_ < waiting_.size()) {
            Waiting &ended = waiting_[ended_++];
            ended.service_ns = std::max<std::uint64_t>(now_ns - std::min(now_ns, ended.seen_ns), 1);
        }
        settle(now_ns);
    }

    // Writes down what is due. enter() and leave() do so; call it once a second, for the last requests before a pause.
    void settle(std::uint64_t now_ns) {
        while (!waiting_.empty() && waiting_.front().due_ns <= now_ns && running_.size() < workers_) {
            const Waiting next = waiting_.front();
            waiting_.pop_front();
            const std::uint64_t start_ns = std::max(next.due_ns, settled_ns_);
            // It has been let run already: no deadline stops it any more.
            static_cast<void>(admission_.dequeued(0, next.seen_ns, MCRPC_NO_DEADLINE, start_ns));
            if (ended_ > 0) {
                --ended_;
                end(start_ns - std::min(next.service_ns, start_ns), start_ns);
            } else {
                running_.push_back(start_ns);
            }
        }
        settled_ns_ = now_ns;
    }

private:
    // A shorter wait is no queue, but a thread that has to be woken.
    static constexpr std::uint64_t SHORTEST_LAG_NS = 1'000'000;
    static constexpr std::uint64_t LONGEST_LAG_NS = 1'000'000'000;

    struct Waiting {
        std::uint64_t seen_ns;
        // Until when it counts as queued at least.
        std::uint64_t due_ns;
        // How long it took, for those that have ended: the first `ended_` ones.
        std::uint64_t service_ns;
    };

    void end(std::uint64_t started_ns, std::uint64_t now_ns) {
        static_cast<void>(admission_.done(0, started_ns, now_ns));
    }

    mcrpc::Admission admission_;
    std::size_t workers_ = 1;
    std::deque<Waiting> waiting_;
    std::size_t ended_ = 0;
    // When each was started.
    std::deque<std::uint64_t> running_;
    // What is due at an earlier time was not, or there was no place for it.
    std::uint64_t settled_ns_ = 0;
};

}  // namespace mcrpc_brpc

#endif
